"""Numbers and settings in, sentences out: what the report and the model card say in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from mnist_cnn.config import SHIPPED_MODEL, AugmentationConfig, Config, OptimizerConfig, TrainingConfig
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.evaluation.findings import Findings
from mnist_cnn.evaluation.members import Members
from mnist_cnn.evaluation.metrics import METRICS, Metrics, PairedTest
from mnist_cnn.evaluation.robustness import Robustness

GUESSING = 1.3  # times the share of right answers that guessing gives: up to that, little has been learnt
SIGNIFICANT = 0.05  # p-values below are called significant
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "nadam": "Nadam", "rmsprop": "RMSprop", "sgd": "SGD"}


def common_values(findings: Findings) -> dict[str, Any]:
    """Return the values that both the report and the model card show, by the names in their templates."""
    dataset, config = findings.predictions.dataset, findings.config
    return {
        "findings": findings,
        "metrics": findings.metrics,
        "METRICS": METRICS,
        "dataset": dataset,
        "verdict": verdict(findings.metrics, dataset),
        "recipe": recipe(config, len(findings.history), findings.best_epoch) if config else "",
        "members": members(findings.members) if findings.members else "",
        "robustness": robustness(findings.robustness) if findings.robustness else "",
        "limits": [*findings.remarks, *limits(findings.metrics, dataset, _origin(findings))],
    }


def verdict(measured: Metrics, dataset: Dataset) -> str:
    """Describe in one or two sentences how accurate the model is, and which error it makes most often."""
    images = f"{dataset.split} image{'s' if measured.n > 1 else ''} of {dataset.name}"
    if not measured.errors:
        count = f"all {measured.n:,}" if measured.n > 1 else "the only"
        return f"The model classified {count} {images} correctly."
    right = measured.n - measured.errors
    sentence = f"The model classified {right:,} of {measured.n:,} {images} correctly."
    if right <= GUESSING * measured.n / len(dataset.class_names):
        answers = [sum(column) for column in zip(*measured.confusion, strict=True)]
        often = dataset.class_names[answers.index(max(answers))]
        return f"{sentence} That is little better than guessing: it answered {often} for {max(answers):,} images."
    worst = measured.most_confused[0]
    if worst.count == 1:
        return f"{sentence} It made no error more than once."
    return f"{sentence} It most often mistook {worst.label} for {worst.predicted} ({worst.count:,} times)."


def members(found: Members) -> str:
    """Describe in a paragraph how good the members of an ensemble are, and how often they disagree."""
    accuracies = [100 * score.accuracy for score in found.scores]
    spread = f"mean {100 * found.accuracy_mean:.2f} ± {100 * found.accuracy_deviation:.2f} %"
    ensemble = 100 * float((~found.ensemble.is_wrong).mean())
    sentence = (
        f"The {len(accuracies)} members classify between {min(accuracies):.2f} % and {max(accuracies):.2f} % of the "
        f"images correctly ({spread}), and the ensemble {ensemble:.2f} %."
    )
    if not len(found.disputed):
        return f"{sentence} All members predict the same class for every image."
    return (
        f"{sentence} They predict different classes for {count(len(found.disputed), 'image')}, of which the ensemble "
        f"classifies {found.disputed_right:,} correctly."
    )


def robustness(found: Robustness) -> str:
    """Describe in a paragraph what corruptions do to the model, and what the preparation repairs."""
    known, worst = found.as_dict(), min(found.scores, key=lambda score: score.prepared_accuracy)
    return (
        f"The {count(found.count, 'image')} were corrupted in {len(found.scores)} ways (MNIST-C, Mu & Gilmer 2019). On "
        f"average, the model classifies {100 * known['mean']:.1f} % of the corrupted images correctly, and "
        f"{100 * known['prepared_mean']:.1f} % if they are first prepared like image files, as mnist-cnn predict does. "
        f"The lowest of these is {100 * worst.prepared_accuracy:.1f} %, with {worst.name}."
    )


def recipe(config: Config, epochs: int, best: int) -> str:
    """Describe in a paragraph how the model was trained.

    Args:
        config: The run's settings.
        epochs: How many were finished.
        best: The epoch with the best validation result, 1-based.
    """
    if config.model.average:
        return _averaged(config)
    sentences = (
        _data(config),
        _distilled(config),
        _added(config),
        _optimizer(config.optimizer, config.training),
        _augmentation(config.augmentation),
        _composed(config),
        _outliers(config.training),
        _length(config, epochs, best),
    )
    return " ".join(filter(None, sentences))


def paired(first: str, other: str, test: PairedTest) -> str:
    """State in a sentence whether the run `other` differs significantly from the run `first`."""
    low, high = 100 * test.difference.low, 100 * test.difference.high
    facts = (
        f"difference {100 * test.difference.value:+.2f} percentage points, 95 % interval {low:+.2f} to {high:+.2f}; "
        f"exact McNemar test on {test.n:,} images, p = {test.p_value:.2g}"
    )
    if test.p_value >= SIGNIFICANT:
        return f"{other} and {first} do not differ significantly ({facts})."
    return f"{other} is {'more' if test.difference.value > 0 else 'less'} accurate than {first} ({facts})."


TRAINED_HERE = (
    "This is one training run. Another seed gives a slightly different model, and the interval does not include "
    "that variation."
)
_AVERAGED_HERE = (
    "This is one ensemble. Other members give a slightly different one, and the interval does not include that "
    "variation."
)
_UNKNOWN = "How this model was trained is not recorded here, so it may have been trained on these very images."


def _origin(findings: Findings) -> str:
    """State what the numbers do not show because of where the model comes from."""
    if findings.config is None:
        return _UNKNOWN
    return _AVERAGED_HERE if findings.config.model.average else TRAINED_HERE


def limits(measured: Metrics, dataset: Dataset, origin: str) -> Iterator[str]:
    """List what the numbers do not show.

    Args:
        measured: The numbers.
        dataset: On which they were measured.
        origin: A sentence about where the model comes from.
    """
    width = 50 * (measured.accuracy.high - measured.accuracy.low)
    yield (
        f"With {count(measured.n, 'image')}, chance alone moves the accuracy by about ±{width:.2g} percentage points "
        "(the 95 % interval above). Smaller differences between models need a paired test: mnist-cnn compare."
    )
    yield origin
    yield (
        f"The numbers apply to images like those of {dataset.name}: one item each, upright, centred, light on dark, "
        "28×28 pixels. Expect more errors on photographs and on images with other pens or margins."
    )
    yield (
        f"The model always answers with one of its {len(dataset.class_names)} classes, even for a blank image or a "
        "picture of something else. Its confidence was not tested on such images."
    )
    missing = len(dataset.class_names) - sum(each.support > 0 for each in measured.classes)
    if missing:
        yield f"The data set has no images of {count(missing, 'class', 'classes')} of the model."


def _data(config: Config) -> str:
    return f"{_network(config)} was trained on {_images(config)}."


def _images(config: Config) -> str:
    per_class = f"{config.data.per_class:,} training images per class" if config.data.per_class else ""
    if not config.data.validation:
        return per_class or "all training images"
    images = per_class or "the training images"
    share = f"{100 * config.data.validation:g} %"
    return f"{images}; {share} of them, stratified by class, were held out for validation"


def _averaged(config: Config) -> str:
    names = _join([PurePath(path).name for path in config.model.average])
    return (
        f"The probabilities of {len(config.model.average)} networks are averaged, without further training: {names}. "
        f"Each was trained on {_images(config)}{', the same for all members' if config.data.validation else ''}."
    )


def _distilled(config: Config) -> str:
    learnt = config.distillation
    if not learnt.teacher:
        return ""
    name = "the included weights" if learnt.teacher == SHIPPED_MODEL else PurePath(learnt.teacher).name
    return (
        f"It learnt from the answers of {name} for the same distorted images (knowledge distillation with temperature "
        f"{learnt.temperature:g}), which make up {100 * learnt.weight:g} % of the loss; the labels make up the rest."
    )


def _network(config: Config) -> str:
    if not config.model.init_from:
        return f"The network (architecture {config.model.architecture})"
    source = "the included weights" if config.model.init_from == SHIPPED_MODEL else config.model.init_from
    frozen = " with frozen features" if config.model.freeze == "features" else ""
    return f"The network, initialised from {source}{frozen},"


def _added(config: Config) -> str:
    if not config.data.add:
        return ""
    share = f"at least {100 * config.data.add_share:g} % of each epoch"
    return f"Images from {Path(config.data.add).name} were added, repeated so that they make up {share}."


def _optimizer(optimizer: OptimizerConfig, training: TrainingConfig) -> str:
    rate = f"a constant learning rate of {optimizer.learning_rate:g}"
    if optimizer.schedule != "constant":
        rate = f"a {optimizer.schedule} schedule (peak learning rate {optimizer.learning_rate:g})"
    words = [f"{OPTIMIZERS[optimizer.name]} with {rate}", f"a batch size of {training.batch_size}"]
    words += [f"cross-entropy loss ({training.loss} labels)"]
    if optimizer.weight_decay:
        words.append(f"weight decay {optimizer.weight_decay:g}")
    if optimizer.ema:
        words.append(f"a moving average of the weights over {100 * optimizer.ema:g} % of the steps")
    if training.label_smoothing:
        words.append(f"label smoothing {training.label_smoothing:g}")
    return f"Training used {_join(words)}."


def _augmentation(augmentation: AugmentationConfig) -> str:
    if not augmentation.is_active:
        return "The images were not augmented."
    amounts = {
        "rotated by up to ±{:g}°": augmentation.rotation,
        "shifted by up to ±{:g} %": 100 * augmentation.shift,
        "scaled by up to ±{:g} %": 100 * augmentation.zoom,
        "sheared by up to ±{:g}°": augmentation.shear,
        "warped elastically by {:g} pixels": augmentation.elastic,
        "drawn with strokes whose edges move by up to ±{:g} pixels": augmentation.stroke,
        "mirrored": augmentation.flip_horizontal or augmentation.flip_vertical,
    }
    words = [text.format(amount) for text, amount in amounts.items() if amount]
    sentences = [f"In every epoch, each image was distorted at random: {_join(words)}."] if words else []
    if augmentation.marks:
        share = f"{100 * augmentation.marks:g} % of the images"
        sentences.append(f"In every epoch, stray lines, gaps or blots were drawn on {share}, chosen anew.")
    return " ".join(sentences)


def _composed(config: Config) -> str:
    if not config.training.composed:
        return ""
    marked = "real digits with stray marks, or " if config.augmentation.marks else ""
    return (
        f"{100 * config.training.composed:g} % of the images of each epoch were replaced by composed pictures of "
        f"digits: {marked}drawn by code or traced from the training images, put into scenes, and prepared like image "
        "files."
    )


def _outliers(training: TrainingConfig) -> str:
    if not training.outliers:
        return ""
    return (
        f"In addition, {100 * training.outliers:g} % of the images of each epoch were replaced by outliers: generated "
        "pictures that are not digits, labelled as belonging equally to every class."
    )


def _length(config: Config, epochs: int, best: int) -> str:
    if not epochs:
        return "Training was interrupted before its first epoch ended, so the model has the weights that it began with."
    planned = f"{epochs} of at most {config.training.epochs} epochs"
    ran = f"Training ran for {planned if epochs < config.training.epochs else count(epochs, 'epoch')}"
    if config.training.keep == "last" or not config.data.validation:
        kept = "the last epoch"
    else:
        kept = f"epoch {best}, which gave the best validation {config.training.monitor}"
    folded = " Batch normalisation was then merged into the convolutions." if config.model.fold else ""
    return f"{ran}, and the model has the weights after {kept}.{folded}"


def settings(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Write flattened settings for a table, without those that are empty."""
    return [(name, plain(value)) for name, value in config.items() if value not in ("", {}, [], ())]


def plain(value: Any) -> str:
    """Write the value of a setting or a fact for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(each) for each in value)
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def count(number: int, singular: str, plural: str = "") -> str:
    """Write a number of things: "1 image", "1,000 images"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
