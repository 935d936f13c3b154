"""Arrays in, numbers out: what is measured on labels and predicted probabilities.

Throughout, `labels` is int64 [n] with values 0 … k - 1, and `probabilities` is float32 or float64 [n, k], each
row summing to 1. Ratios are 0 … 1, losses are in nats. `METRICS`, at the end, is the list of all single numbers;
everything that shows metrics reads it, so a new one needs a function and an entry there.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import DataError, ModelFileError
from mnist_cnn.reading.conventions import SUM_TOLERANCE

Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating[Any]]

CALIBRATION_BINS = 15  # as in Guo et al. 2017
_Z = statistics.NormalDist().inv_cdf(0.975)  # of a 95 % interval, in standard deviations
SMALLEST_PROBABILITY = 2.0**-23  # float32's resolution; a softmax that underflowed to 0 must not cost infinity


@dataclass(frozen=True)
class Metric:
    """One number for a whole data set: how it is computed, and how it is shown."""

    key: str  # in metrics.json; a dot leads one level down
    title: str
    compute: Callable[[Labels, Probabilities], float]
    format: str  # Python's format specification, such as ".2%"
    meaning: str  # for a reader who does not know the metric
    unit: str = ""
    hint: str = ""  # such as "0 is perfect", shown with a headline
    headline: bool = False  # whether the report shows it at the top

    @property
    def label(self) -> str:
        """The title with the unit: "log loss (nats)"."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def text(self, value: float) -> str:
        """Write a value without its unit: "99.43%"."""
        return f"{value:{self.format}}"


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
    precision: float  #: share of the images predicted as this class that belong to it
    recall: float  #: share of the images of this class that are predicted as it
    f1: float  #: harmonic mean of both
    support: int  #: images with this label


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1 averaged over classes."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose confidence is in (low, high]."""

    low: float
    high: float
    count: int
    confidence: float  #: mean; 0 where the bin is empty
    accuracy: float  #: 0 where the bin is empty


@dataclass(frozen=True)
class ConfusedPair:
    """One off-diagonal cell of the confusion matrix."""

    label: str
    predicted: str
    count: int


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same images."""

    n: int  #: number of images
    only_first_right: int  #: images that only the first model classifies correctly
    only_second_right: int  #: images that only the second model classifies correctly
    p_value: float  #: exact McNemar, two-sided
    difference: Interval  #: second accuracy - first accuracy


@dataclass(frozen=True)
class Metrics:
    """Everything measured on one data set."""

    n: int  #: number of images
    accuracy: Interval
    scores: Mapping[str, float]  #: single numbers, such as log_loss, as in metrics.json
    macro: Averages
    weighted: Averages
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]  #: [k][k] counts, row = label, column = predicted
    most_confused: tuple[ConfusedPair, ...]
    calibration: tuple[CalibrationBin, ...]
    classification_report: str  #: scikit-learn's text

    @property
    def errors(self) -> int:
        """The number of misclassified images."""
        return int(self.scores["errors"])

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, ready for JSON; `accuracy` becomes one number there."""
        plain = dataclasses.asdict(self)
        for key, value in plain.pop("scores").items():
            group, _, name = key.rpartition(".")
            (plain.setdefault(group, {}) if group else plain)[name] = value
        plain["accuracy_interval"] = [self.accuracy.low, self.accuracy.high]
        plain["confusion_normalised"] = confusion_rates(np.array(self.confusion)).tolist()
        return plain


def measure(labels: Labels, probabilities: Probabilities, class_names: Sequence[str]) -> Metrics:
    """Measure everything at once.

    Raises:
        InputError: No images, labels out of range, or rows that are not probabilities.
    """
    check(labels, probabilities, class_names)
    predicted = probabilities.argmax(axis=1)
    counts = confusion_counts(labels, predicted, len(class_names))
    macro, weighted = averages(labels, predicted)
    return Metrics(
        n=len(labels),
        accuracy=accuracy_interval(int(counts.trace()), len(labels)),
        scores={metric.key: metric.compute(labels, probabilities) for metric in METRICS},
        macro=macro,
        weighted=weighted,
        classes=class_scores(labels, predicted, class_names),
        confusion=tuple(tuple(row) for row in counts.tolist()),
        most_confused=most_confused(counts, class_names),
        calibration=calibration_bins(probabilities.max(axis=1), predicted == labels),
        classification_report=classification_report(labels, predicted, class_names),
    )


def check(labels: Labels, probabilities: Probabilities, class_names: Sequence[str]) -> None:
    """Check that these arrays can be measured.

    Raises:
        DataError: The shapes do not match, or labels are out of range.
        ModelFileError: NaN, infinity, negative numbers, or rows that do not sum to 1.
    """
    expected = (len(labels), len(class_names))
    if probabilities.shape != expected or len(labels) == 0:
        raise DataError(
            f"predictions have shape {probabilities.shape}, expected {expected}: one row per image, one column per "
            "class, and at least one image. Predict the data set that you evaluate."
        )
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(
            f"labels range from {labels.min()} to {labels.max()}, but must be 0 to {len(class_names) - 1}. "
            "Evaluate on a data set with the model's classes."
        )
    _check_rows(probabilities)


def _check_rows(probabilities: Probabilities) -> None:
    broken = int((~np.isfinite(probabilities)).any(axis=1).sum())
    if broken:
        raise ModelFileError(
            f"the model returned NaN or infinity for {broken} of {len(probabilities)} images: its training "
            "diverged. Train it again with a lower learning rate."
        )
    off = np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1).max()
    if off > SUM_TOLERANCE or probabilities.min() < 0:
        raise ModelFileError(
            f"the model's outputs are not probabilities: a row is negative somewhere, or its sum differs from 1 by "
            f"{off:.3g}. The last layer must be a softmax."
        )


def accuracy_interval(correct: int, total: int) -> Interval:
    """Return the accuracy with its Wilson score interval (Wilson 1927), which stays sound near 100 %."""
    share, spread = correct / total, _Z**2 / total
    centre = share + spread / 2
    margin = _Z * math.sqrt((share * (1 - share) + spread / 4) / total)
    return Interval(share, max(0.0, (centre - margin) / (1 + spread)), min(1.0, (centre + margin) / (1 + spread)))


def class_scores(labels: Labels, predicted: Labels, class_names: Sequence[str]) -> tuple[ClassScores, ...]:
    """Score each class that occurs among the labels or the predictions; an undefined ratio counts as 0."""
    present = np.union1d(labels, predicted)
    rows = _precision_recall_f1(labels, predicted, labels=present)
    names = [class_names[index] for index in present]
    return tuple(ClassScores(*row) for row in zip(names, *(scores.tolist() for scores in rows), strict=True))


def averages(labels: Labels, predicted: Labels) -> tuple[Averages, Averages]:
    """Average precision, recall and F1 over the classes: equally (macro), and by number of images (weighted)."""
    kinds = (_precision_recall_f1(labels, predicted, average=kind)[:3] for kind in ("macro", "weighted"))
    macro, weighted = (Averages(*map(float, scores)) for scores in kinds)
    return macro, weighted


def _precision_recall_f1(truth: Labels, predicted: Labels, **options: Any) -> Any:
    from sklearn.metrics import precision_recall_fscore_support

    return precision_recall_fscore_support(truth, predicted, zero_division=0, **options)


def classification_report(labels: Labels, predicted: Labels, class_names: Sequence[str]) -> str:
    """Return scikit-learn's classification report as text, with four digits."""
    from sklearn import metrics

    present = np.union1d(labels, predicted)
    names = [class_names[index] for index in present]
    report = metrics.classification_report(
        labels, predicted, labels=present, target_names=names, digits=4, zero_division=0
    )
    return str(report)


def image_losses(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """Return each image's loss, -ln of the probability of its label, float64 [n] in nats, 0 … 15.9."""
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0))


def calibration_bins(confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_]) -> tuple[CalibrationBin, ...]:
    """Sort images (confidence [n] in 0 … 1, correct [n]) into equal-width bins (low, high] of confidence."""
    bins = CALIBRATION_BINS
    edges = np.linspace(0, 1, bins + 1)
    where = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(where, minlength=bins)
    means = [np.bincount(where, each, bins) / np.maximum(counts, 1) for each in (confidence, correct)]
    columns = (column.tolist() for column in (edges[:-1], edges[1:], counts, *means))
    return tuple(CalibrationBin(*row) for row in zip(*columns, strict=True))


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What is accepted, and what is wrong of it, at each threshold (El-Yaniv and Wiener 2010)."""

    coverage: NDArray[np.float64]  #: [t], share of all that is accepted, rising
    risk: NDArray[np.float64]  #: [t], share of the accepted that is wrong
    thresholds: NDArray[np.float64]  #: [t], least confidence of the accepted, falling

    def coverage_at(self, risk: float) -> float:
        """Return the greatest share that can be accepted if at most `risk` of the accepted may be wrong."""
        return float(self.coverage[self.risk <= risk].max(initial=0.0))

    def threshold_at(self, risk: float) -> float:
        """Return the lowest threshold at which at most `risk` of the accepted is wrong; infinity if there is none."""
        return float(self.thresholds[self.risk <= risk].min(initial=math.inf))


def risk_coverage(
    confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_], total: int | None = None
) -> RiskCoverage:
    """Lower the threshold from one confidence to the next. Readings of equal confidence are accepted together.

    Args:
        confidence: [n], of any range.
        correct: [n].
        total: Number of all readings, if some are never accepted and therefore not among these; None for n.
    """
    order = np.argsort(-confidence, kind="stable")
    wrong, accepted = np.cumsum(~correct[order]), np.arange(1, len(order) + 1)
    ranked = confidence[order].astype(np.float64)
    is_last = np.append(np.diff(ranked) != 0, True)[: len(ranked)]
    coverage = accepted / (len(order) if total is None else total)
    return RiskCoverage(coverage[is_last], (wrong / accepted)[is_last], ranked[is_last])


def confusion_counts(labels: Labels, predicted: Labels, class_count: int) -> NDArray[np.int64]:
    """Count images by label (row) and prediction (column), int64 [k, k]."""
    counts = np.bincount(class_count * labels + predicted, minlength=class_count**2)
    return counts.reshape(class_count, class_count)


def confusion_rates(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide each row of a confusion matrix by its sum, float64 [k, k]; the row of an absent class stays 0."""
    rates: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return rates


def most_confused(counts: NDArray[np.int64], class_names: Sequence[str]) -> tuple[ConfusedPair, ...]:
    """List the ten most frequent confusions (label, prediction), the most frequent first."""
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:10]
    pairs = [divmod(int(cell), len(counts)) for cell in order]
    return tuple(
        ConfusedPair(class_names[row], class_names[column], int(errors[row, column]))
        for row, column in pairs
        if errors[row, column]
    )


def paired_test(labels: Labels, first: Labels, second: Labels) -> PairedTest:
    """Compare two models' predictions (int64 [n] each) for the same images.

    The p-value is from McNemar's exact test: how likely a fair coin splits the images that only one model
    classifies correctly this unevenly. It is 1 where both models are right on the same images.
    """
    from scipy.stats import binomtest

    first_right, second_right = first == labels, second == labels
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    split = only_first + only_second
    p_value = float(binomtest(only_first, split).pvalue) if split else 1.0
    difference = _paired_difference(only_first, only_second, len(labels))
    return PairedTest(len(labels), only_first, only_second, p_value, difference)


def _paired_difference(only_first: int, only_second: int, total: int) -> Interval:
    # Agresti & Min 2005, "Simple improved confidence intervals for comparing matched proportions": the Wald
    # interval after adding half an image to each of the four cells. It does not collapse to a point at 0 : 0.
    n = total + 2
    low, high = only_first + 0.5, only_second + 0.5
    centre = (high - low) / n
    margin = _Z * np.sqrt(low + high - (high - low) ** 2 / n) / n
    return Interval((only_second - only_first) / total, float(centre - margin), float(centre + margin))


def _count_errors(labels: Labels, probabilities: Probabilities) -> int:
    return int((probabilities.argmax(axis=1) != labels).sum())


def top_accuracy(labels: Labels, probabilities: Probabilities, k: int = 1) -> float:
    """Return the share of images whose label is among the `k` most probable classes."""
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]  # stable, so that k = 1 agrees with argmax
    return float((top == labels[:, np.newaxis]).any(axis=1).mean())


def _macro(labels: Labels, probabilities: Probabilities, score: str) -> float:
    macro, _ = averages(labels, probabilities.argmax(axis=1))
    return float(getattr(macro, score))


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean loss of an image, in nats."""
    return float(image_losses(labels, probabilities).mean())


def binary_cross_entropy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the cross-entropy of every class against the rest, averaged over images and classes, in nats.

    This is Keras' `binary_crossentropy` on one-hot labels and softmax outputs, as notebooks report it.
    """
    truth = np.eye(probabilities.shape[1], dtype=bool)[labels]  # [n, k]
    given = np.where(truth, probabilities, 1 - probabilities.astype(np.float64))
    return float(-np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0)).mean())


def expected_calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean gap between confidence and accuracy, weighted by images, 0 … 1.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    bins = calibration_bins(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    return sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / len(labels)


METRICS = (
    Metric(
        "accuracy", "accuracy", top_accuracy, ".2%", headline=True,
        meaning="The share of images whose most probable class is the true one. The 95 % interval is Wilson's score "
        "interval: of 100 such intervals, each from other images of the same kind, about 95 contain the true rate.",
    ),
    Metric(
        "errors", "errors", _count_errors, ",d", headline=True,
        meaning="The number of images whose most probable class is not the true one.",
    ),
    Metric(
        "top2_accuracy", "top-2 accuracy", functools.partial(top_accuracy, k=2), ".2%",
        meaning="The share of images whose true class is the most probable or the second most probable one.",
    ),
    Metric(
        "macro.precision", "macro precision", functools.partial(_macro, score="precision"), ".4f",
        meaning="Of the images predicted as a class, the share that belong to it. Macro: the mean over all classes, "
        "each counting the same. The weighted average counts each class by its number of images.",
    ),
    Metric(
        "macro.recall", "macro recall", functools.partial(_macro, score="recall"), ".4f",
        meaning="Of the images that belong to a class, the share predicted as it; again the mean over all classes.",
    ),
    Metric(
        "macro.f1", "macro F1", functools.partial(_macro, score="f1"), ".4f",
        meaning="The harmonic mean of a class's precision and recall; again the mean over all classes.",
    ),
    Metric(
        "log_loss", "log loss", log_loss, ".4f", unit="nats", hint="0 is perfect", headline=True,
        meaning="The mean of −ln(probability of the true class). Confident errors cost the most. Equal probabilities "
        "for all k classes cost ln k, which is 2.30 for ten classes.",
    ),
    Metric(
        "binary_cross_entropy", "binary cross-entropy", binary_cross_entropy, ".4f", unit="nats",
        meaning="Like the log loss, but each class is judged against all others and the result is averaged over the "
        "classes. Some notebooks report it. It cannot be compared with the log loss.",
    ),
    Metric(
        "expected_calibration_error", "calibration error", expected_calibration_error, ".2%", hint="0 is perfect",
        headline=True,
        meaning=f"The expected calibration error: the gap between confidence and accuracy in {CALIBRATION_BINS} "
        "equally wide bins of confidence, averaged over all images (Guo et al. 2017).",
    ),
)  # fmt: skip
