"""Arrays in, numbers out: what is measured on labels and predicted probabilities.

Throughout, `labels` is int64 [n] with values 0 … k - 1, and `probabilities` is float32 or float64 [n, k], each
row summing to 1. Ratios are 0 … 1, losses are in nats.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray
from scipy import stats

from mnist_cnn.errors import DataError, ModelFileError
from mnist_cnn.reading.conventions import SUM_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating[Any]]

CALIBRATION_BINS = 15  # as in Guo et al. 2017
SMALLEST_PROBABILITY = 2.0**-23  # float32's resolution; a softmax that underflowed to 0 must not cost infinity


@dataclass(frozen=True)
class Interval:
    """A ratio and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScores:
    """How well one class is recognised."""

    name: str
    precision: float  # of the images called this, the share that are
    recall: float  # of the images that are this, the share called so
    f1: float  # harmonic mean of both
    support: int  # images with this label


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1 averaged over classes."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose confidence lies in (low, high]."""

    low: float
    high: float
    count: int
    confidence: float  # mean; 0 where the bin is empty
    accuracy: float  # 0 where the bin is empty


@dataclass(frozen=True)
class ConfusedPair:
    """One off-diagonal cell of the confusion matrix."""

    label: str
    predicted: str
    count: int


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same images: is the difference more than chance?"""

    n: int
    only_first_right: int
    only_second_right: int
    p_value: float  # exact McNemar, two-sided
    difference: Interval  # second accuracy - first accuracy


@dataclass(frozen=True)
class Metrics:
    """Everything measured on one data set."""

    n: int
    errors: int
    accuracy: Interval
    log_loss: float
    binary_cross_entropy: float
    top2_accuracy: float
    expected_calibration_error: float
    macro: Averages
    weighted: Averages
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]  # [k][k] counts, row = label, column = predicted
    most_confused: tuple[ConfusedPair, ...]
    calibration: tuple[CalibrationBin, ...]
    classification_report: str  # scikit-learn's text

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers, ready for JSON; `accuracy` becomes one number there."""
        plain = dataclasses.asdict(self)
        plain["accuracy"] = self.accuracy.value
        plain["accuracy_interval"] = [self.accuracy.low, self.accuracy.high]
        plain["confusion_normalised"] = confusion_rates(np.array(self.confusion)).tolist()
        return plain


def measure(labels: Labels, probabilities: Probabilities, class_names: Sequence[str]) -> Metrics:
    """Measure everything at once.

    Raises:
        InputError: No images, labels out of range, or rows that are no probabilities.
    """
    check(labels, probabilities, class_names)
    predicted = probabilities.argmax(axis=1)
    correct = predicted == labels
    counts = confusion_counts(labels, predicted, len(class_names))
    bins = calibration_bins(probabilities.max(axis=1), correct)
    macro, weighted = averages(labels, predicted)
    return Metrics(
        n=len(labels),
        errors=int((~correct).sum()),
        accuracy=accuracy_interval(int(correct.sum()), len(labels)),
        log_loss=float(image_losses(labels, probabilities).mean()),
        binary_cross_entropy=binary_cross_entropy(labels, probabilities),
        top2_accuracy=top_accuracy(labels, probabilities, 2),
        expected_calibration_error=expected_calibration_error(bins),
        macro=macro,
        weighted=weighted,
        classes=class_scores(labels, predicted, class_names),
        confusion=tuple(tuple(int(count) for count in row) for row in counts),
        most_confused=most_confused(counts, class_names),
        calibration=bins,
        classification_report=classification_report(labels, predicted, class_names),
    )


def check(labels: Labels, probabilities: Probabilities, class_names: Sequence[str]) -> None:
    """Refuse arrays from which no honest number can be computed.

    Raises:
        InputError: Shapes that do not fit, labels out of range, NaN, or rows that do not sum to 1.
    """
    expected = (len(labels), len(class_names))
    if probabilities.shape != expected or len(labels) == 0:
        raise DataError(
            f"predictions have shape {probabilities.shape}, expected {expected}: one row per image and one "
            "column per class, at least one image. Predict the same data set that is evaluated."
        )
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(
            f"labels run from {labels.min()} to {labels.max()}; valid are 0 to {len(class_names) - 1}. "
            "Evaluate on a data set with the model's classes."
        )
    _check_rows(probabilities)


def _check_rows(probabilities: Probabilities) -> None:
    broken = int((~np.isfinite(probabilities)).any(axis=1).sum())
    if broken:
        raise ModelFileError(
            f"the model gives NaN or infinity for {broken} of {len(probabilities)} images: its training "
            "diverged. Train it again with a lower learning rate."
        )
    off = np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1).max()
    if off > SUM_TOLERANCE or probabilities.min() < 0:
        raise ModelFileError(
            f"the model's outputs are no probabilities: a row misses the sum 1 by {off:.3g} or holds a "
            "negative number. Its last layer must be a softmax."
        )


def accuracy_interval(correct: int, total: int) -> Interval:
    """Give the accuracy with its Wilson score interval (Wilson 1927), which stays sound near 100 %."""
    interval = stats.binomtest(correct, total).proportion_ci(0.95, method="wilson")
    return Interval(correct / total, float(interval.low), float(interval.high))


def class_scores(labels: Labels, predicted: Labels, class_names: Sequence[str]) -> tuple[ClassScores, ...]:
    """Score each class that occurs among the labels or the predictions; an undefined ratio counts as 0."""
    present = np.union1d(labels, predicted)
    rows = sklearn.metrics.precision_recall_fscore_support(labels, predicted, labels=present, zero_division=0)
    return tuple(
        ClassScores(class_names[index], float(precision), float(recall), float(f1), int(support))
        for index, precision, recall, f1, support in zip(present, *rows, strict=True)
    )


def averages(labels: Labels, predicted: Labels) -> tuple[Averages, Averages]:
    """Average precision, recall and F1 over the classes: plainly (macro), and by images (weighted)."""

    def average(kind: str) -> Averages:
        scores = sklearn.metrics.precision_recall_fscore_support(labels, predicted, average=kind, zero_division=0)
        return Averages(*(float(score) for score in scores[:3]))

    return average("macro"), average("weighted")


def classification_report(labels: Labels, predicted: Labels, class_names: Sequence[str]) -> str:
    """Give scikit-learn's classification report as text, with four digits."""
    present = np.union1d(labels, predicted)
    names = [class_names[index] for index in present]
    return str(
        sklearn.metrics.classification_report(
            labels, predicted, labels=present, target_names=names, digits=4, zero_division=0
        )
    )


def image_losses(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """Give each image's loss, -ln of the probability of its label, float64 [n] in nats, 0 … 15.9."""
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0))


def binary_cross_entropy(labels: Labels, probabilities: Probabilities) -> float:
    """Give the cross-entropy of every class against the rest, averaged over images and classes, in nats.

    This is Keras' `binary_crossentropy` on one-hot labels and softmax outputs, as notebooks report it.
    """
    truth = np.eye(probabilities.shape[1], dtype=bool)[labels]  # [n, k]
    given = np.where(truth, probabilities, 1 - probabilities.astype(np.float64))
    return float(-np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0)).mean())


def top_accuracy(labels: Labels, probabilities: Probabilities, k: int) -> float:
    """Give the share of images whose label is among the `k` most probable classes."""
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]  # stable, so that k = 1 agrees with argmax
    return float((top == labels[:, np.newaxis]).any(axis=1).mean())


def calibration_bins(
    confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_], bins: int = CALIBRATION_BINS
) -> tuple[CalibrationBin, ...]:
    """Sort images (confidence [n] in 0 … 1, correct [n]) into equal-width bins (low, high] of confidence."""
    edges = np.linspace(0, 1, bins + 1)
    where = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    return tuple(
        CalibrationBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            count=int(inside.sum()),
            confidence=float(confidence[inside].mean()) if inside.any() else 0.0,
            accuracy=float(correct[inside].mean()) if inside.any() else 0.0,
        )
        for index in range(bins)
        for inside in [where == index]
    )


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Give the mean gap between confidence and accuracy, weighted by images.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / total


def confusion_counts(labels: Labels, predicted: Labels, class_count: int) -> NDArray[np.int64]:
    """Count images by label (row) and prediction (column), int64 [k, k]."""
    counts = sklearn.metrics.confusion_matrix(labels, predicted, labels=np.arange(class_count))
    return np.asarray(counts, dtype=np.int64)


def confusion_rates(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide each row of a confusion matrix by its sum, float64 [k, k]; an absent class' row stays 0."""
    rates: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return rates


def most_confused(counts: NDArray[np.int64], class_names: Sequence[str], limit: int = 10) -> tuple[ConfusedPair, ...]:
    """List the most frequent confusions (label, prediction), the most frequent first, at most `limit`."""
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(cell), len(counts)) for cell in order]
    return tuple(
        ConfusedPair(class_names[row], class_names[column], int(errors[row, column]))
        for row, column in pairs
        if errors[row, column]
    )


def paired_test(labels: Labels, first: Labels, second: Labels) -> PairedTest:
    """Compare two models' predictions (int64 [n] each) for the same images.

    The p-value is McNemar's in its exact form: among the images that only one model reads right, a coin's
    chance of a split this uneven. It is 1 where no image tells the models apart.
    """
    first_right, second_right = first == labels, second == labels
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    split = only_first + only_second
    p_value = float(stats.binomtest(only_first, split).pvalue) if split else 1.0
    difference = _paired_difference(only_first, only_second, len(labels))
    return PairedTest(len(labels), only_first, only_second, p_value, difference)


def _paired_difference(only_first: int, only_second: int, total: int) -> Interval:
    # Agresti & Min 2005, "Simple improved confidence intervals for comparing matched proportions": the Wald
    # interval after adding half an image to each of the four cells. It does not collapse to a point at 0 : 0.
    n = total + 2
    low, high = only_first + 0.5, only_second + 0.5
    centre = (high - low) / n
    margin = stats.norm.ppf(0.975) * np.sqrt(low + high - (high - low) ** 2 / n) / n
    return Interval((only_second - only_first) / total, float(centre - margin), float(centre + margin))
