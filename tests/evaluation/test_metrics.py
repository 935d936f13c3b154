"""Every number against a slow, obvious reference."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_cnn.config import flatten
from mnist_cnn.errors import InputError
from mnist_cnn.evaluation import metrics

NAMES = ("zero", "one", "two", "three")


def draw(seed: int, n: int, k: int = 4) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return random.integers(0, k, n), random.dirichlet(np.full(k, 0.4), n)


def guesses(rows: Any) -> list[int]:
    return [max(range(len(row)), key=lambda column: row[column]) for row in rows]


def hits(labels: Any, rows: Any, k: int = 1) -> int:
    ranked = [sorted(range(len(row)), key=lambda column: -row[column])[:k] for row in rows]
    return sum(label in best for label, best in zip(labels, ranked, strict=True))


def class_scores(labels: Any, rows: Any) -> dict[int, tuple[float, float, float]]:
    """Precision, recall and F1 of each class that occurs."""
    pairs = list(zip(labels, guesses(rows), strict=True))
    scores = {}
    for number in sorted({each for pair in pairs for each in pair}):
        right = sum(pair == (number, number) for pair in pairs)
        called, support = sum(guess == number for _, guess in pairs), sum(label == number for label, _ in pairs)
        precision, recall = right / called if called else 0, right / support if support else 0
        scores[number] = (precision, recall, 2 * right / (called + support))
    return scores


def macro(labels: Any, rows: Any, place: int) -> float:
    return float(np.mean([scores[place] for scores in class_scores(labels, rows).values()]))


def mean_loss(given: Any) -> float:
    return sum(-math.log(max(p, 2**-23)) for p in given) / len(given)


def mean_binary_loss(labels: Any, rows: Any) -> float:
    given = [
        p if column == label else 1 - p for label, row in zip(labels, rows, strict=True) for column, p in enumerate(row)
    ]
    return mean_loss(given)


def calibration_error(labels: Any, rows: Any) -> float:
    each = [(max(row), guess == label) for label, row, guess in zip(labels, rows, guesses(rows), strict=True)]
    bins = [[pair for pair in each if number / 15 < pair[0] <= (number + 1) / 15] for number in range(15)]
    return float(sum(abs(sum(sure - right for sure, right in inside)) for inside in bins) / len(each))


SLOW: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": lambda labels, rows: hits(labels, rows) / len(labels),
    "errors": lambda labels, rows: len(labels) - hits(labels, rows),
    "top2_accuracy": lambda labels, rows: hits(labels, rows, k=2) / len(labels),
    "macro.precision": lambda labels, rows: macro(labels, rows, 0),
    "macro.recall": lambda labels, rows: macro(labels, rows, 1),
    "macro.f1": lambda labels, rows: macro(labels, rows, 2),
    "log_loss": lambda labels, rows: mean_loss([row[label] for label, row in zip(labels, rows, strict=True)]),
    "binary_cross_entropy": mean_binary_loss,
    "expected_calibration_error": calibration_error,
}  # fmt: skip


@given(seed=st.integers(0, 10_000), n=st.integers(1, 60))
def test_every_metric_agrees_with_a_slow_reference(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    probabilities[0] = np.eye(4)[(labels[0] + 1) % 4]  # a probability of 0 has a large but finite loss
    for metric in metrics.METRICS:
        assert metric.compute(labels, probabilities) == pytest.approx(SLOW[metric.key](labels, probabilities)), metric


@given(seed=st.integers(0, 10_000), n=st.integers(1, 60))
def test_counts_and_class_scores_agree_with_counting(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    predicted = probabilities.argmax(axis=1)
    pairs = list(zip(labels.tolist(), predicted.tolist(), strict=True))
    counts = metrics.confusion_counts(labels, predicted, 4)
    assert counts.tolist() == [[pairs.count((row, column)) for column in range(4)] for row in range(4)]
    found = metrics.class_scores(labels, predicted, NAMES)
    slow = class_scores(labels, probabilities)
    assert [each.name for each in found] == [NAMES[number] for number in slow]
    for each, (number, scores) in zip(found, slow.items(), strict=True):
        assert (each.precision, each.recall, each.f1) == pytest.approx(scores)
        assert each.support == (labels == number).sum()
    weighted = metrics.averages(labels, predicted)[1]
    assert weighted.recall == pytest.approx(sum(each.recall * each.support for each in found) / n)


def test_log_loss_and_binary_cross_entropy_are_those_of_scikit_learn_and_keras() -> None:
    from sklearn.metrics import log_loss

    from mnist_cnn.models.backend import keras

    labels, probabilities = draw(5, 50)
    probabilities = 0.9 * probabilities + 0.025  # away from 0, where each library clips at another value
    assert metrics.log_loss(labels, probabilities) == pytest.approx(log_loss(labels, probabilities, labels=range(4)))
    expected = keras.losses.binary_crossentropy(np.eye(4)[labels], probabilities)
    assert metrics.binary_cross_entropy(labels, probabilities) == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_confidence_on_an_edge_belongs_to_the_lower_bin() -> None:
    bins = metrics.calibration_bins(np.array([0.0, 0.2, 1.0]), np.array([True, True, True]))
    assert [index for index, each in enumerate(bins) if each.count] == [0, 2, 14]


def test_the_rates_of_an_absent_class_are_zero() -> None:
    rates = metrics.confusion_rates(np.array([[3, 1], [0, 0]]))
    np.testing.assert_array_equal(rates, [[0.75, 0.25], [0, 0]])


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20))
def test_risk_and_coverage_are_those_of_each_threshold(readings: list[tuple[int, bool]]) -> None:
    confidence, correct = np.array([each[0] for each in readings]), np.array([each[1] for each in readings])
    curve = metrics.risk_coverage(confidence, correct)
    thresholds = sorted(set(confidence.tolist()), reverse=True)
    assert curve.coverage.tolist() == [(confidence >= each).mean() for each in thresholds]
    assert curve.risk == pytest.approx([(~correct[confidence >= each]).mean() for each in thresholds])
    accepted = [(confidence >= each).mean() for each in thresholds if (~correct[confidence >= each]).mean() <= 0.25]
    assert curve.coverage_at(0.25) == max(accepted, default=0.0)


def test_readings_that_are_never_accepted_only_lower_the_coverage() -> None:
    confidence, correct = np.array([0.9, 0.8, 0.8]), np.array([True, True, False])
    some, all_ = (metrics.risk_coverage(confidence, correct, total) for total in (6, None))
    assert some.coverage.tolist() == [1 / 6, 3 / 6]
    assert (some.risk.tolist(), some.thresholds.tolist()) == (all_.risk.tolist(), all_.thresholds.tolist())
    none = metrics.risk_coverage(confidence[:0], correct[:0], 6)
    assert (none.coverage_at(0.5), none.threshold_at(0.5)) == (0.0, np.inf)


def test_most_confused_lists_only_errors_and_the_most_frequent_first() -> None:
    counts = np.array([[90, 2, 0], [5, 80, 0], [0, 2, 70]])
    pairs = metrics.most_confused(counts, ("a", "b", "c"))
    assert [(each.label, each.predicted, each.count) for each in pairs] == [("b", "a", 5), ("a", "b", 2), ("c", "b", 2)]


@given(correct=st.integers(0, 500), extra=st.integers(0, 500))
def test_the_accuracy_interval_is_wilsons(correct: int, extra: int) -> None:
    n = correct + extra + 1
    share, z = correct / n, 1.959963984540054
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    interval = metrics.accuracy_interval(correct, n)
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half), abs=1e-9)


def test_mcnemar_agrees_with_adding_up_a_coins_chances() -> None:
    labels = np.zeros(20, dtype=np.int64)
    first, second = labels.copy(), labels.copy()
    first[:9] = 1  # 9 that only the second model classifies correctly
    second[9:11] = 1  # 2 that only the first classifies correctly
    test = metrics.paired_test(labels, first, second)
    at_most_2_heads = sum(math.comb(11, heads) for heads in range(3)) / 2**11
    assert test.p_value == pytest.approx(2 * at_most_2_heads)
    assert (test.only_first_right, test.only_second_right, test.n) == (2, 9, 20)
    assert test.difference.value == 7 / 20
    assert test.difference.low < 7 / 20 < test.difference.high


def test_the_paired_interval_covers_the_true_difference_95_times_in_100() -> None:
    random = np.random.default_rng(0)
    labels = np.zeros(400, dtype=np.int64)
    covered = 0
    for _ in range(500):
        case = random.choice(4, size=400, p=[0.9, 0.05, 0.03, 0.02])  # both, only first, only second, neither
        test = metrics.paired_test(labels, np.isin(case, [2, 3]).astype(int), np.isin(case, [1, 3]).astype(int))
        covered += test.difference.low <= -0.02 <= test.difference.high
    assert 0.92 <= covered / 500 <= 0.98


def test_equal_models_do_not_differ() -> None:
    test = metrics.paired_test(np.arange(4), np.arange(4), np.arange(4))
    assert test.p_value == 1
    assert test.difference.low < 0 < test.difference.high


def test_the_json_has_every_metric_under_its_key() -> None:
    labels, probabilities = draw(1, 50)
    plain = json.loads(json.dumps(metrics.measure(labels, probabilities, NAMES).as_dict(), allow_nan=False))
    assert {metric.key for metric in metrics.METRICS} <= set(dict(flatten(plain)))
    assert plain["accuracy"] == (50 - plain["errors"]) / 50
    assert plain["accuracy_interval"][0] < plain["accuracy"] < plain["accuracy_interval"][1]
    assert "weighted avg" in plain["classification_report"]
    assert np.sum(plain["confusion"]) == 50


def test_one_image_and_absent_classes_are_measured() -> None:
    measured = metrics.measure(np.array([1]), np.array([[0.1, 0.7, 0.1, 0.1]]), NAMES)
    assert (measured.errors, measured.macro.f1, measured.most_confused) == (0, 1, ())
    assert [each.name for each in measured.classes] == ["one"]


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, np.nan], [0.5, 0.5]], "NaN or infinity for 1 of 2 images"),
        ([0, 1], [[3.0, -2.0], [0.5, 0.6]], "not probabilities"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "must be 0 to 1"),
        ([0], [[0.5, 0.5], [0.5, 0.5]], "shape"),
        ([], np.zeros((0, 2)), "at least one image"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(labels: list[int], probabilities: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        metrics.measure(np.array(labels, dtype=np.int64), np.array(probabilities), ("a", "b"))
    assert "\n" not in str(caught.value)
