"""What is exported: the Keras model, its metadata, and the real digits on which every export is checked."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, replace
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
from mnist_cnn.reading.conventions import IMAGE_SIZE, SUM_TOLERANCE
from mnist_cnn.reading.ink import PREPROCESSING
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.scaling import DECLARED, ScalingChoice, bundled_digits
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.unseen import earlier_split

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mnist_cnn.models.backend import keras

REPRESENTATIVE = 1000  # digits with which int8 converters calibrate activations
_HELD_OUT = 0.2  # share of the training images, for a model file that does not say what it was validated on
_SEED = 0
_POOR = 3  # a model below this multiple of chance accuracy has probably not learnt these classes
_POOR_REMARK = (
    "{} classifies only {:.1%} of {}'s test images correctly, hardly more than chance. Is it trained, on these classes "
    "in this order, and do its images have this scale?"
)
_NO_DATA_REMARK = (
    "no data set is given, so temperature and rejection threshold keep their defaults, and no accuracy is measured; "
    "the bundled digits serve for the comparison. Name the training data with --dataset."
)
_NO_VALIDATION_REMARK = (
    "the run held out no validation digits, so temperature and rejection threshold keep their defaults."
)
_FITTED_ON_TRAINING_REMARK = (
    "temperature and threshold are fitted on a fifth of the training images of {}. If the model was trained on them, "
    "it will be overconfident."
)


@dataclass(frozen=True, eq=False)
class Original:
    """A Keras model and what is known about it."""

    path: Path  #: of the run or the file
    model: keras.Model  #: float32; takes raw grey levels, even if its layers need another range
    metadata: ModelMetadata  #: without the accuracy, which is measured for each exported file
    digits: Dataset  #: the test set, on which exports are checked
    probabilities: NDArray[np.float32]  #: [n, k], the Keras model's for these digits
    representative: NDArray[np.uint8]  #: [m, 28, 28], held-out or training digits; m = 0 if there are none
    has_labels: bool = True  #: whether the digits' classes are the model's
    remarks: tuple[str, ...] = ()  #: what was assumed or could not be done, for the user
    choice: ScalingChoice = DECLARED  #: the range of the grey levels that its layers get


def open_original(
    path: Path,
    data: ResolvedDataset | None,
    scale: float | None = None,
    check: Callable[[keras.Model], None] | None = None,
) -> Original:
    """Open a run or a model file and collect the metadata of its exports.

    Args:
        path: A finished run, or a `.keras` file.
        data: The run's own data set; for a file, the one that it was trained on, or None if unknown.
        scale: Factor that converts grey levels 0 to 255 for a third-party model; None to find out.
        check: Called with the model before the digits are loaded and read; may raise.

    Raises:
        InputError: There is no such model, it does not compute in float32 or gives no probabilities, its classes are
            not the data's, or its scale cannot be found out.
        DatasetUnavailableError: The data are not available.
    """
    opened = read_model(path, scale=scale, known=partial(known_digits_of, data) if data else bundled_digits)
    opened.adoption.choice.check(str(path))
    model = opened.model
    if check:
        check(model)
    _check_precision(model, path)
    _check_answers(model, path)
    original = _with_data(path, model, data) if data else _without_data(path, model)
    return replace(original, remarks=(*opened.adoption.remarks, *original.remarks), choice=opened.adoption.choice)


def _with_data(path: Path, model: keras.Model, data: ResolvedDataset) -> Original:
    training, validation, remark = _held_out(path, data.load("train"))
    answers = predict(model, data.load("test"))
    test = answers.dataset
    metadata = _metadata(model, test.class_names, test.name)
    if validation:
        held_out = predict(model, validation)
        metadata = describe_confidence(metadata, held_out.probabilities, held_out.labels)
    accuracy = float((answers.probabilities.argmax(axis=1) == answers.labels).mean())
    is_poor = accuracy < _POOR / model.output_shape[-1]
    remarks = (_POOR_REMARK.format(path, accuracy, test.name) if is_poor else "", remark)
    representative = _draw((validation or training).images)
    return Original(
        path, model, metadata, test, answers.probabilities, representative, remarks=tuple(filter(None, remarks))
    )


def _without_data(path: Path, model: keras.Model) -> Original:
    digits = load_dataset(DIGITS, split="test")
    classes = tuple(str(number) for number in range(model.output_shape[-1]))
    probabilities = predict_images(model, digits.images)
    metrics.check(np.zeros(len(digits), np.int64), probabilities, classes)
    metadata, none = _metadata(model, classes, ""), digits.images[:0]
    return Original(path, model, metadata, digits, probabilities, none, has_labels=False, remarks=(_NO_DATA_REMARK,))


def _held_out(path: Path, train: Dataset) -> tuple[Dataset, Dataset | None, str]:
    """Return the training digits, the validation digits, and a remark about them, which may be empty."""
    data, run = earlier_split(str(path), train), RunFolder(path)
    if not data and run.config.exists():
        data = load_recipe(str(run.config)).data
    if not data:
        return *split_validation(train, _HELD_OUT, _SEED), _FITTED_ON_TRAINING_REMARK.format(train.name)
    training, validation = divide(train, per_class=data.per_class, validation=data.validation, seed=data.split_seed)
    return training, validation, "" if validation else _NO_VALIDATION_REMARK


def _metadata(model: keras.Model, class_names: tuple[str, ...], dataset: str) -> ModelMetadata:
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
                f"{path}: layer {layer.name!r} computes in {layer.compute_dtype}, but exports compute in float32, so "
                "results would differ. Save the model with Keras' dtype policy 'float32'."
            )


def _check_answers(model: keras.Model, path: Path) -> None:
    """Refuse logits before the data are loaded. `metrics.check` detects NaN later."""
    noise = np.random.default_rng(_SEED).integers(0, 256, (2, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    answers = predict_images(model, noise)
    sums = answers.sum(axis=1)
    if answers.min() < 0 or np.abs(sums - 1).max() > SUM_TOLERANCE:
        raise ModelFileError(
            f"{path} does not give probabilities: its outputs for two images add up to {sums[0]:.3g} and "
            f"{sums[1]:.3g}. Its last layer must be a softmax: save "
            "keras.Sequential([model, keras.layers.Softmax()]) and export that."
        )
