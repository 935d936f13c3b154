"""Numbers and settings in, sentences out: what the report and the model card say in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cnn.config import SHIPPED_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mnist_cnn.config import AugmentationConfig, Config, OptimizerConfig, TrainingConfig
    from mnist_cnn.datasets.dataset import Dataset
    from mnist_cnn.evaluation.metrics import Metrics, PairedTest

GUESSING = 1.3  # times the share of right answers that guessing gives: up to that, little has been learnt
SIGNIFICANT = 0.05  # p-values below are called more than chance
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "nadam": "Nadam", "rmsprop": "RMSprop", "sgd": "SGD"}


def verdict(measured: Metrics, dataset: Dataset) -> str:
    """Say in one or two sentences how well the model reads, and what it gets wrong most often."""
    images = f"{measured.n:,} {dataset.split} image{'s' if measured.n != 1 else ''} of {dataset.name}"
    if not measured.errors:
        return f"The model reads all {images} right."
    right = measured.n - measured.errors
    worst = measured.most_confused[0]
    times = "once" if worst.count == 1 else f"{worst.count:,} times"
    sentence = f"The model reads {right:,} of {images} right."
    if right <= GUESSING * measured.n / len(dataset.class_names):
        answers = [sum(column) for column in zip(*measured.confusion, strict=True)]
        often = dataset.class_names[answers.index(max(answers))]
        share = max(answers) / measured.n
        return f"{sentence} That is little better than guessing: it answers {often} for {share:.0%} of them."
    if worst.count == 1:
        return f"{sentence} No confusion happens more than once."
    return f"{sentence} Most often it takes {worst.label} for {worst.predicted} ({times})."


def recipe(config: Config, epochs: int, best: int) -> str:
    """Say in a paragraph how the model was trained.

    Args:
        config: The run's settings.
        epochs: How many were finished.
        best: The epoch with the best validation result, 1-based.
    """
    return " ".join(
        [
            _data(config),
            _optimizer(config.optimizer, config.training),
            _augmentation(config.augmentation),
            *_outliers(config.training),
            _length(config, epochs, best),
        ]
    )


def paired(first: str, other: str, test: PairedTest) -> str:
    """Say in a sentence whether the run `other` differs from the run `first` by more than chance."""
    low, high = 100 * test.difference.low, 100 * test.difference.high
    facts = f"difference {100 * test.difference.value:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}"
    facts = f"{facts}, exact McNemar p = {test.p_value:.2g}, {test.n:,} images"
    if test.p_value >= SIGNIFICANT:
        return f"{other} and {first} do not differ by more than chance explains ({facts})."
    return f"{other} reads {'better' if test.difference.value > 0 else 'worse'} than {first} ({facts})."


def limits(measured: Metrics, dataset: Dataset, trained_here: bool) -> list[str]:
    """List what the numbers do not show."""
    return [*_statistical_limits(measured, trained_here), *_data_limits(measured, dataset)]


def _data(config: Config) -> str:
    images = f"{config.data.per_class:,} training images per class" if config.data.per_class else "the training images"
    held_out = f"{100 * config.data.validation:g} % of them held out for validation, stratified by class"
    rest = held_out if config.data.validation else "none of them held out for validation"
    return f"{_network(config)} was trained on {images}, {rest}.{_added(config)}"


def _added(config: Config) -> str:
    if not config.data.add:
        return ""
    share = f"at least {100 * config.data.add_share:g} % of each epoch"
    return f" Images of {Path(config.data.add).name} were learnt beside them, repeated to make up {share}."


def _network(config: Config) -> str:
    if not config.model.init_from:
        return f"The network {config.model.architecture}"
    frozen = " (its features frozen)" if config.model.freeze == "features" else ""
    source = "that ship" if config.model.init_from == SHIPPED_MODEL else f"of {config.model.init_from}"
    return f"The network, started from the weights {source}{frozen},"


def _optimizer(optimizer: OptimizerConfig, training: TrainingConfig) -> str:
    rate = f"learning rate {optimizer.learning_rate:g}"
    if optimizer.schedule != "constant":
        rate = f"a {optimizer.schedule} learning rate of at most {optimizer.learning_rate:g}"
    words = [f"{OPTIMIZERS[optimizer.name]} with {rate}", f"batches of {training.batch_size}"]
    words += [f"the cross-entropy loss ({training.loss} labels)"]
    if optimizer.weight_decay:
        words.append(f"weight decay {optimizer.weight_decay:g}")
    if optimizer.ema:
        words.append(f"a moving average of the weights over {100 * optimizer.ema:g} % of the steps")
    if training.label_smoothing:
        words.append(f"label smoothing {training.label_smoothing:g}")
    return f"It used {_join(words)}."


def _augmentation(augmentation: AugmentationConfig) -> str:
    if not augmentation.is_active:
        return "The images were not distorted."
    return f"Each image was distorted anew in every epoch: {_join(list(_distortions(augmentation)))}."


def _distortions(augmentation: AugmentationConfig) -> Iterator[str]:
    if augmentation.rotation:
        yield f"rotated by up to ±{augmentation.rotation:g}°"
    if augmentation.shift:
        yield f"shifted by up to ±{100 * augmentation.shift:g} %"
    if augmentation.zoom:
        yield f"scaled by up to ±{100 * augmentation.zoom:g} %"
    if augmentation.shear:
        yield f"sheared by up to ±{augmentation.shear:g}°"
    if augmentation.elastic:
        yield f"warped elastically by {augmentation.elastic:g} pixels"
    if augmentation.flip_horizontal or augmentation.flip_vertical:
        yield "mirrored at random"


def _outliers(training: TrainingConfig) -> list[str]:
    if not training.outliers:
        return []
    return [
        f"In every epoch, {100 * training.outliers:g} % of the images were replaced with outliers: drawn pictures "
        "that are not digits, labelled as belonging equally to every class."
    ]


def _length(config: Config, epochs: int, best: int) -> str:
    planned = f"{epochs} of at most {config.training.epochs} epochs"
    ran = f"Training ran for {planned if epochs < config.training.epochs else _count(epochs, 'epoch')}"
    if config.training.keep == "last" or not config.data.validation:
        return f"{ran}, and the weights after the last one became the model."
    quality = f"best validation {config.training.monitor}"
    return f"{ran}; the weights after epoch {best}, which had the {quality}, became the model."


def _statistical_limits(measured: Metrics, trained_here: bool) -> Iterator[str]:
    width = 50 * (measured.accuracy.high - measured.accuracy.low)
    yield (
        f"With {measured.n:,} images, chance alone moves the accuracy by about ±{width:.2g} percentage "
        "points (the 95 % interval above). Differences smaller than that need a paired test: mnist-cnn compare."
    )
    if trained_here:
        yield (
            "This is one training run. Another seed gives a slightly different model; the interval does not "
            "contain that spread."
        )
    else:
        yield "How this model was trained is not recorded here, so it may have seen these very images before."


def _data_limits(measured: Metrics, dataset: Dataset) -> Iterator[str]:
    yield (
        f"The figures hold for images prepared like those of {dataset.name}: one item each, upright, "
        "centred, light on dark in 28×28 pixels. Photographs, other pens and other margins are harder."
    )
    yield (
        f"The model always answers with one of its {len(dataset.class_names)} classes, also for a blank "
        "image or a picture of something else; its confidence was not tested on such images."
    )
    missing = len(dataset.class_names) - sum(each.support > 0 for each in measured.classes)
    if missing:
        yield f"{_count(missing, 'class', 'classes')} of the model never occur in these images."


def settings(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Write flattened settings for a table, the names of what is empty left out."""
    return [(name, plain(value)) for name, value in config.items() if value not in ("", {}, [])]


def plain(value: Any) -> str:
    """Write a setting's or a fact's value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(each) for each in value)
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
