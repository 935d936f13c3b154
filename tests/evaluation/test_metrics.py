"""Every number against a slow, obvious reference."""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.errors import InputError
from mnist_cnn.evaluation import metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("zero", "one", "two", "three")


def draw(seed: int, n: int, k: int = 4) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return random.integers(0, k, n), random.dirichlet(np.full(k, 0.4), n)


cases = given(seed=st.integers(0, 10_000), n=st.integers(1, 60))


@cases
def test_log_loss_agrees_with_scikit_learn_and_with_a_loop(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    losses = metrics.image_losses(labels, probabilities)
    slow = [-math.log(max(row[label], 2**-23)) for row, label in zip(probabilities, labels, strict=True)]
    np.testing.assert_allclose(losses, slow, rtol=1e-12)
    if probabilities[np.arange(n), labels].min() > 1e-6:
        assert losses.mean() == pytest.approx(sklearn.metrics.log_loss(labels, probabilities, labels=range(4)))


@cases
def test_binary_cross_entropy_agrees_with_a_double_loop(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    slow = [
        -math.log(max(p if column == label else 1 - p, 2**-23))
        for row, label in zip(probabilities, labels, strict=True)
        for column, p in enumerate(row)
    ]
    assert metrics.binary_cross_entropy(labels, probabilities) == pytest.approx(sum(slow) / len(slow))


def test_binary_cross_entropy_agrees_with_keras() -> None:
    import keras

    labels, probabilities = draw(5, 50)
    probabilities = 0.9 * probabilities + 0.025  # away from 0, where Keras clips at another place
    expected = keras.losses.binary_crossentropy(np.eye(4)[labels], probabilities)
    assert metrics.binary_cross_entropy(labels, probabilities) == pytest.approx(np.mean(expected), rel=1e-5)


@cases
def test_top_accuracy_agrees_with_sorting_each_row(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    slow = [
        label in sorted(range(4), key=lambda column: -row[column])[:2]
        for row, label in zip(probabilities, labels, strict=True)
    ]
    assert metrics.top_accuracy(labels, probabilities, 2) == pytest.approx(sum(slow) / n)
    assert metrics.top_accuracy(labels, probabilities, 1) == np.mean(probabilities.argmax(axis=1) == labels)
    assert metrics.top_accuracy(labels, probabilities, 4) == 1


@cases
def test_calibration_error_agrees_with_filtering_bin_by_bin(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    slow = 0.0
    for number in range(15):
        inside = [i for i in range(n) if number / 15 < confidence[i] <= (number + 1) / 15]
        if inside:
            slow += len(inside) / n * abs(np.mean(confidence[inside]) - np.mean(correct[inside]))
    bins = metrics.calibration_bins(confidence, correct)
    assert metrics.expected_calibration_error(bins) == pytest.approx(slow)
    assert sum(each.count for each in bins) == n


def test_confidence_on_an_edge_belongs_to_the_lower_bin() -> None:
    bins = metrics.calibration_bins(np.array([0.0, 0.5, 1.0]), np.array([True, True, True]), bins=2)
    assert [each.count for each in bins] == [2, 1]


@cases
def test_class_scores_agree_with_counting(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    predicted = probabilities.argmax(axis=1)
    for each in metrics.class_scores(labels, predicted, NAMES):
        number = NAMES.index(each.name)
        hits = sum((labels == number) & (predicted == number))
        called, support = sum(predicted == number), sum(labels == number)
        assert each.precision == pytest.approx(hits / called if called else 0)
        assert each.recall == pytest.approx(hits / support if support else 0)
        assert each.f1 == pytest.approx(2 * hits / (called + support))
        assert each.support == support


@cases
def test_averages_agree_with_the_class_scores(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    predicted = probabilities.argmax(axis=1)
    scores = metrics.class_scores(labels, predicted, NAMES)
    macro, weighted = metrics.averages(labels, predicted)
    assert macro.f1 == pytest.approx(np.mean([each.f1 for each in scores]))
    assert weighted.recall == pytest.approx(sum(each.recall * each.support for each in scores) / n)


@cases
def test_confusion_counts_agree_with_counting(seed: int, n: int) -> None:
    labels, probabilities = draw(seed, n)
    predicted = probabilities.argmax(axis=1)
    counts = metrics.confusion_counts(labels, predicted, 4)
    for row, column in itertools.product(range(4), repeat=2):
        assert counts[row, column] == sum((labels == row) & (predicted == column))


def test_confusion_rates_leave_the_row_of_an_absent_class_at_zero() -> None:
    rates = metrics.confusion_rates(np.array([[3, 1], [0, 0]]))
    np.testing.assert_array_equal(rates, [[0.75, 0.25], [0, 0]])


def test_most_confused_lists_errors_only_and_the_most_frequent_first() -> None:
    counts = np.array([[90, 2, 0], [5, 80, 0], [0, 2, 70]])
    pairs = metrics.most_confused(counts, ("a", "b", "c"))
    assert [(each.label, each.predicted, each.count) for each in pairs] == [
        ("b", "a", 5),
        ("a", "b", 2),
        ("c", "b", 2),
    ]
    assert len(metrics.most_confused(counts, ("a", "b", "c"), limit=1)) == 1


@given(correct=st.integers(0, 500), extra=st.integers(0, 500))
def test_accuracy_interval_is_wilsons(correct: int, extra: int) -> None:
    n = correct + extra + 1
    share, z = correct / n, 1.959963984540054
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    interval = metrics.accuracy_interval(correct, n)
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half), abs=1e-9)


def test_mcnemar_agrees_with_adding_up_a_coins_chances() -> None:
    labels = np.zeros(20, dtype=np.int64)
    first, second = labels.copy(), labels.copy()
    first[:9] = 1  # 9 that only the second model reads
    second[9:11] = 1  # 2 that only the first reads
    test = metrics.paired_test(labels, first, second)
    at_most_2_heads = sum(math.comb(11, heads) for heads in range(3)) / 2**11
    assert test.p_value == pytest.approx(2 * at_most_2_heads)
    assert (test.only_first_right, test.only_second_right, test.n) == (2, 9, 20)
    assert test.difference.value == pytest.approx(7 / 20)
    assert test.difference.low < 7 / 20 < test.difference.high


def test_paired_interval_covers_the_true_difference_95_times_in_100() -> None:
    random = np.random.default_rng(0)
    labels = np.zeros(400, dtype=np.int64)
    covered = 0
    for _ in range(500):
        case = random.choice(4, size=400, p=[0.9, 0.05, 0.03, 0.02])  # both, only first, only second, neither
        test = metrics.paired_test(labels, np.isin(case, [2, 3]).astype(int), np.isin(case, [1, 3]).astype(int))
        covered += test.difference.low <= -0.02 <= test.difference.high
    assert 0.92 <= covered / 500 <= 0.98


def test_equal_models_differ_by_nothing() -> None:
    labels = np.arange(4)
    test = metrics.paired_test(labels, labels, labels)
    assert test.p_value == 1
    assert test.difference.low < 0 < test.difference.high


def test_measure_is_ready_for_json_and_agrees_with_itself() -> None:
    labels, probabilities = draw(1, 50)
    measured = metrics.measure(labels, probabilities, NAMES)
    plain = json.loads(json.dumps(measured.as_dict(), allow_nan=False))
    assert plain["accuracy"] == (50 - measured.errors) / 50
    assert plain["accuracy_interval"][0] < plain["accuracy"] < plain["accuracy_interval"][1]
    assert "weighted avg" in plain["classification_report"]
    assert np.sum(plain["confusion"]) == 50


def test_one_image_and_absent_classes_are_measured() -> None:
    measured = metrics.measure(np.array([1]), np.array([[0.1, 0.7, 0.1, 0.1]]), NAMES)
    assert measured.errors == 0
    assert [each.name for each in measured.classes] == ["one"]
    assert measured.macro.f1 == 1
    assert measured.most_confused == ()


def test_a_probability_of_zero_costs_much_but_not_infinity() -> None:
    assert metrics.image_losses(np.array([0]), np.array([[0.0, 1.0]]))[0] == pytest.approx(23 * math.log(2))


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, np.nan], [0.5, 0.5]], "NaN or infinity for 1 of 2 images"),
        ([0, 1], [[3.0, -2.0], [0.5, 0.5]], "no probabilities"),
        ([0, 1], [[0.5, 0.6], [0.5, 0.5]], "no probabilities"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "valid are 0 to 1"),
        ([0], [[0.5, 0.5], [0.5, 0.5]], "shape"),
        ([], np.zeros((0, 2)), "at least one image"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(labels: list[int], probabilities: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        metrics.measure(np.array(labels, dtype=np.int64), np.array(probabilities), ("a", "b"))
    assert "\n" not in str(caught.value)
