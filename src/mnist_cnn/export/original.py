"""What is exported: the Keras model, its description, and the real digits that every export is checked on."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.config import load_recipe
from mnist_cnn.datasets import Dataset, ResolvedDataset, divide, load_dataset, split_validation
from mnist_cnn.datasets.catalog import DIGITS
from mnist_cnn.errors import ModelFileError
from mnist_cnn.evaluation import metrics
from mnist_cnn.evaluation.calibration import describe_confidence
from mnist_cnn.evaluation.predictions import predict, predict_images
from mnist_cnn.models.persistence import known_digits_of, read_model
from mnist_cnn.reading import IMAGE_SIZE
from mnist_cnn.reading.ink import PREPROCESSING
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.scaling import ScalingChoice, bundled_digits, declared
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.models.backend import keras

REPRESENTATIVE = 1000  # digits that show an int8 converter which values occur
_HELD_OUT = 0.2  # of the training images of the data set given with a file that says nothing of its own
_SEED = 0
_HARDLY = 3  # times the accuracy of a guess: what a model must reach that has learnt these classes
_HARDLY_READS = (
    "{} reads only {:.1%} of {}'s test images right, hardly more than guessing. Is it trained, on these classes in "
    "this order, and do its images have this scale?"
)


@dataclass(frozen=True, eq=False)
class Original:
    """A Keras model and what is known of it."""

    path: Path  # of the run or the file that it was opened from
    model: keras.Model  # float32; takes raw grey levels, whatever range its layers want
    metadata: ModelMetadata  # without the accuracy, which is the exported file's own
    digits: Dataset  # the test set, on which exports are checked
    probabilities: NDArray[np.float32]  # [n, k], what the Keras model says of them
    representative: NDArray[np.uint8]  # [m, 28, 28], held-out or training digits; m = 0: none are known
    has_labels: bool = True  # whether the digits' classes are known to be the model's
    remarks: tuple[str, ...] = ()  # what could not be done or had to be decided, for people
    choice: ScalingChoice = field(default_factory=declared)  # in what range its layers get grey levels


def open_original(path: Path, data: ResolvedDataset | None, scale: float | None = None) -> Original:
    """Open a run or a model file and find out what its exports will say of themselves.

    Args:
        path: A finished run, or a `.keras` file.
        data: The run's own data set; for a file the one it was trained on, or None where that is not known.
        scale: What a stranger's model wants grey levels 0 … 255 multiplied by; None to find out.

    Raises:
        InputError: No such model, one that does not compute in float32 or gives no probabilities, one with other
            classes than the data, or one whose scale cannot be found out.
        DatasetUnavailableError: The data are not at hand.
    """
    opened = read_model(path, scale=scale, known=partial(known_digits_of, data) if data else bundled_digits)
    opened.adoption.choice.check(str(path))
    model = opened.model
    _check_precision(model, path)
    _check_answers(model, path)
    original = _with_data(path, model, data) if data else _unknown(path, model)
    return replace(original, remarks=(*opened.adoption.remarks, *original.remarks), choice=opened.adoption.choice)


def _with_data(path: Path, model: keras.Model, data: ResolvedDataset) -> Original:
    training, validation, remarks = _held_out(path, data.load("train"))
    known = _known(path, model, training, validation, data.load("test"))
    return replace(known, remarks=(*known.remarks, *remarks))


def _known(path: Path, model: keras.Model, training: Dataset, validation: Dataset | None, test: Dataset) -> Original:
    answers = predict(model, test)
    metadata = _plain(model, answers.dataset.class_names, test.name)
    if validation:
        held_out = predict(model, validation)
        metadata = describe_confidence(metadata, held_out.probabilities, held_out.labels)
    share, guessing = float((answers.probabilities.argmax(axis=1) == answers.labels).mean()), 1 / model.output_shape[-1]
    return Original(
        path=path,
        model=model,
        metadata=metadata,
        remarks=(_HARDLY_READS.format(path, share, test.name),) if share < _HARDLY * guessing else (),
        digits=answers.dataset,
        probabilities=answers.probabilities,
        representative=_draw((validation or training).images),
    )


def _unknown(path: Path, model: keras.Model) -> Original:
    digits = load_dataset(DIGITS, split="test")
    classes = tuple(str(number) for number in range(model.output_shape[-1]))
    probabilities = predict_images(model, digits.images)
    metrics.check(np.zeros(len(digits), np.int64), probabilities, classes)
    return Original(
        path=path,
        model=model,
        metadata=_plain(model, classes, ""),
        digits=digits,
        probabilities=probabilities,
        representative=digits.images[:0],
        has_labels=False,
        remarks=(
            "no data set is given, so temperature and rejection threshold keep their defaults and no accuracy is "
            "measured; the bundled digits serve to compare. Name the training data with --dataset.",
        ),
    )


def _held_out(path: Path, train: Dataset) -> tuple[Dataset, Dataset | None, tuple[str, ...]]:
    """Give the training and validation digits and what is to be said of them."""
    run = RunFolder(path)
    if not run.config.exists():
        training, validation = split_validation(train, _HELD_OUT, _SEED)
        return training, validation, (
            f"temperature and threshold are fitted on a fifth of {train.name}'s training images; where the model was "
            "trained on them, it looks surer than it is.",
        )  # fmt: skip
    config = load_recipe(str(run.config))
    data = config.data
    training, validation = divide(train, per_class=data.per_class, validation=data.validation, seed=data.split_seed)
    if validation is None:
        return training, None, (
            "the run held out no validation digits, so temperature and rejection threshold keep their defaults.",
        )  # fmt: skip
    return training, validation, ()


def _plain(model: keras.Model, class_names: tuple[str, ...], dataset: str) -> ModelMetadata:
    return ModelMetadata(
        class_names=class_names,
        dataset=dataset,
        preprocessing=PREPROCESSING,
        architecture=model.name,
        package_version=importlib.metadata.version("mnist-cnn"),
    )


def _draw(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count = min(REPRESENTATIVE, len(images))
    return images[np.random.default_rng(_SEED).choice(len(images), count, replace=False)]


def _check_precision(model: keras.Model, path: Path) -> None:
    for layer in model.layers:
        if layer.compute_dtype != "float32":
            raise ModelFileError(
                f"{path}: layer {layer.name!r} computes in {layer.compute_dtype}, and exports in float32, so the two "
                "would differ. Save the model with Keras' policy 'float32'."
            )


def _check_answers(model: keras.Model, path: Path) -> None:
    """Refuse logits before the data are read; numbers that are none are left to `metrics.check`."""
    noise = np.random.default_rng(_SEED).integers(0, 256, (2, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    answers = predict_images(model, noise)
    sums = answers.sum(axis=1)
    if answers.min() < 0 or np.abs(sums - 1).max() > metrics.SUM_TOLERANCE:
        raise ModelFileError(
            f"{path} gives no probabilities: its answers to two images add up to {sums[0]:.3g} and {sums[1]:.3g}. Its "
            "last layer must be a softmax; save keras.Sequential([model, keras.layers.Softmax()]) and export that."
        )
