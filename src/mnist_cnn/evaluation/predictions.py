"""A model and a data set in, predictions and metrics out."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import ModelFileError, RunFolderError, first_line
from mnist_cnn.evaluation import metrics
from mnist_cnn.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mnist_cnn.models.backend import keras

# Dataset.checksum() of MNIST's 10,000 test images.
MNIST_TEST_CHECKSUM = "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b"
# Images of MNIST's test set whose given label fewer than 3 of 5 human raters chose.
# Source: https://github.com/cleanlab/label-errors (Northcutt, Athalye & Mueller 2021).
MNIST_TEST_LABEL_ERRORS = (
    947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says about each image of a data set."""

    dataset: Dataset
    probabilities: NDArray[np.float32]  # [n, k], rows sum to 1

    @property
    def labels(self) -> NDArray[np.int64]:
        """The true class of each image, [n]."""
        return self.dataset.labels

    @functools.cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image, [n]."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @functools.cached_property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of the predicted class, [n], 1/k … 1."""
        return np.asarray(self.probabilities.max(axis=1))

    @functools.cached_property
    def losses(self) -> NDArray[np.float64]:
        """-ln of the probability of the true class, [n], in nats."""
        return metrics.image_losses(self.labels, self.probabilities)

    @functools.cached_property
    def is_wrong(self) -> NDArray[np.bool_]:
        """Whether the prediction differs from the label, [n]."""
        return np.asarray(self.predicted != self.labels)

    @functools.cached_property
    def hardest_first(self) -> NDArray[np.int64]:
        """Indices of all images by falling loss, [n]."""
        return np.argsort(-self.losses, kind="stable")

    @functools.cached_property
    def worst_errors(self) -> NDArray[np.int64]:
        """Indices of the misread images by falling loss."""
        return self.hardest_first[self.is_wrong[self.hardest_first]]


@dataclass(frozen=True)
class LabelErrorAccuracy:
    """Accuracy without the images whose given label is known to be wrong."""

    excluded: int
    n: int
    errors: int
    accuracy: metrics.Interval

    def as_dict(self) -> dict[str, Any]:
        """Give plain numbers, ready for JSON."""
        return {**vars(self), "accuracy": self.accuracy.value}


def predict(model: keras.Model, dataset: Dataset, batch_size: int = 1000) -> Predictions:
    """Let the model read every image of the data set.

    Data with some of the ten digits alone, however their names are written, are numbered as a model of ten expects.

    Raises:
        ModelFileError: The model has another number of classes than the data set, or gives no probabilities.
    """
    outputs = model.output_shape[-1]
    dataset = dataset.numbered_for(outputs)
    if outputs != len(dataset.class_names):
        raise ModelFileError(
            f"the model knows {outputs} classes but {dataset.name} has {len(dataset.class_names)}. "
            "Evaluate it on a data set with the classes that it was trained on."
        )
    probabilities = predict_images(model, dataset.images, batch_size)
    metrics.check(dataset.labels, probabilities, dataset.class_names)
    return Predictions(dataset, probabilities)


def predict_images(model: keras.Model, images: NDArray[np.uint8], batch_size: int = 1000) -> NDArray[np.float32]:
    """Give the model's probabilities, float32 [n, k], for raw images, uint8 [n, 28, 28]."""
    outputs = model.predict(images[..., np.newaxis], batch_size=batch_size, verbose=0)
    return np.asarray(outputs, dtype=np.float32)


def evaluate(predictions: Predictions) -> metrics.Metrics:
    """Measure the predictions.

    Raises:
        InputError: They are no probabilities.
    """
    dataset = predictions.dataset
    return metrics.measure(dataset.labels, predictions.probabilities, dataset.class_names)


def without_label_errors(predictions: Predictions) -> LabelErrorAccuracy | None:
    """Measure accuracy without the known label errors; None unless the data are exactly MNIST's test set."""
    if predictions.dataset.checksum() != MNIST_TEST_CHECKSUM:
        return None
    wrong = np.delete(predictions.is_wrong, MNIST_TEST_LABEL_ERRORS)
    accuracy = metrics.accuracy_interval(int((~wrong).sum()), len(wrong))
    return LabelErrorAccuracy(len(MNIST_TEST_LABEL_ERRORS), len(wrong), int(wrong.sum()), accuracy)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write one CSV row per image: index, label, predicted, confidence, loss, p0 … p(k-1).

    Raises:
        WriteError: The file cannot be written.
    """
    with write_whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_header(predictions.probabilities.shape[1]))
        for index, row in enumerate(predictions.probabilities):
            label, predicted = predictions.labels[index], predictions.predicted[index]
            numbers = (predictions.confidence[index], predictions.losses[index], *row)
            writer.writerow([index, label, predicted, *(f"{number:.9g}" for number in numbers)])


def read_predictions(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read back labels (int64 [n]) and probabilities (float32 [n, k]) exactly as they were written.

    Raises:
        InputError: The file is missing or is no such table.
    """
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
        rows = np.loadtxt(lines or ["nan"], delimiter=",", ndmin=2)  # [n, 5 + k]
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{path} cannot be read as predictions ({first_line(error)}). Run: mnist-cnn evaluate"
        ) from error
    columns = header.split(",")
    if columns != _header(len(columns) - 5) or rows.shape[1] != len(columns):
        raise RunFolderError(f"{path} is no table of predictions: its columns are not index, label, predicted, ….")
    return rows[:, 1].astype(np.int64), rows[:, 5:].astype(np.float32)


def _header(class_count: int) -> list[str]:
    return [
        "index", "label", "predicted", "confidence", "loss", *(f"p{number}" for number in range(class_count)),
    ]  # fmt: skip
