"""A model and a data set in, predictions and metrics out; and `predictions.csv`."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import ModelFileError, RunFolderError, first_line
from mnist_cnn.evaluation import metrics
from mnist_cnn.files import write_whole

if TYPE_CHECKING:
    from mnist_cnn.models.backend import keras

# Dataset.checksum() of MNIST's 10,000 test images.
MNIST_TEST_CHECKSUM = "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b"
# MNIST test images whose label was chosen by fewer than 3 of 5 human raters.
# Source: https://github.com/cleanlab/label-errors (Northcutt, Athalye & Mueller 2021).
MNIST_TEST_LABEL_ERRORS = (
    947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model predicts for each image of a data set."""

    dataset: Dataset  #: the images and their true labels
    probabilities: NDArray[np.float32]  #: [n, k], rows sum to 1

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
        """Indices of all images, the highest loss first, [n]."""
        return np.argsort(-self.losses, kind="stable")

    @functools.cached_property
    def worst_errors(self) -> NDArray[np.int64]:
        """Indices of the misclassified images, the highest loss first."""
        return self.hardest_first[self.is_wrong[self.hardest_first]]


@dataclass(frozen=True)
class LabelErrorAccuracy:
    """Accuracy without the images whose label is known to be wrong."""

    excluded: int
    n: int
    errors: int
    accuracy: metrics.Interval

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, ready for JSON."""
        return {**vars(self), "accuracy": self.accuracy.value}


def predict(model: keras.Model, dataset: Dataset, batch_size: int = 1000) -> Predictions:
    """Predict every image of the data set.

    If the data set contains only some of the ten digits, its labels are renumbered for a model of all ten.

    Raises:
        ModelFileError: Model and data set differ in their number of classes, or the outputs are not probabilities.
    """
    outputs = model.output_shape[-1]
    dataset = dataset.numbered_for(outputs)
    if outputs != len(dataset.class_names):
        raise ModelFileError(
            f"the model has {outputs} classes, but {dataset.name} has {len(dataset.class_names)}. "
            "Evaluate it on a data set with the classes it was trained on."
        )
    probabilities = predict_images(model, dataset.images, batch_size)
    metrics.check(dataset.labels, probabilities, dataset.class_names)
    return Predictions(dataset, probabilities)


def predict_images(model: keras.Model, images: NDArray[np.uint8], batch_size: int = 1000) -> NDArray[np.float32]:
    """Return the model's probabilities, float32 [n, k], for raw images, uint8 [n, 28, 28]."""
    outputs = model.predict(images[..., np.newaxis], batch_size=batch_size, verbose=0)
    return np.asarray(outputs, dtype=np.float32)


def evaluate(predictions: Predictions) -> metrics.Metrics:
    """Measure the predictions.

    Raises:
        InputError: They are not probabilities.
    """
    dataset = predictions.dataset
    return metrics.measure(dataset.labels, predictions.probabilities, dataset.class_names)


def without_label_errors(predictions: Predictions) -> LabelErrorAccuracy | None:
    """Measure accuracy without the known label errors; None unless this is exactly MNIST's test set."""
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
    said = predictions
    columns = (np.arange(len(said.labels)), said.labels, said.predicted, said.confidence, said.losses)
    header = _header(said.probabilities.shape[1])
    with write_whole(path) as partial:
        np.savetxt(
            partial, np.column_stack((*columns, said.probabilities)), fmt=["%d"] * 3 + ["%.9g"] * (len(header) - 3),
            delimiter=",", header=",".join(header), comments="", encoding="utf-8",
        )  # fmt: skip


def read_predictions(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read back labels (int64 [n]) and probabilities (float32 [n, k]) exactly as they were written.

    Raises:
        RunFolderError: The file is missing or damaged.
    """
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
        rows = np.loadtxt(lines or ["nan"], delimiter=",", ndmin=2)  # [n, 5 + k]
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({first_line(error)}). Write it again with: mnist-cnn evaluate"
        ) from error
    columns = header.split(",")
    if columns != _header(len(columns) - 5) or rows.shape[1] != len(columns):
        raise RunFolderError(
            f"{path} is not a table of predictions: its columns must be index, label, predicted, …. "
            "Write it again with: mnist-cnn evaluate"
        )
    return rows[:, 1].astype(np.int64), rows[:, 5:].astype(np.float32)


def _header(class_count: int) -> list[str]:
    return ["index", "label", "predicted", "confidence", "loss", *(f"p{number}" for number in range(class_count))]
