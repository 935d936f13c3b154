"""What is counted of whole numbers, against counting by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.datasets.number_folder import LabelledNumber
from mnist_cnn.errors import DataError, ImageError
from mnist_cnn.evaluation.number_results import NumberOutcome, NumberResults, pair
from mnist_cnn.reading.numbers import NumberReading, NumberReason

THRESHOLD = 0.5
REASONS = (NumberReason.SEVERAL, NumberReason.UNFIT)  # that no threshold changes


def outcome(text: str, read: str, confidence: float, reason: str = "") -> NumberOutcome:
    uncertain = NumberReason.UNCERTAIN if confidence < THRESHOLD else ""
    truth = LabelledNumber("a.png", Path("a.png"), text)
    return NumberOutcome(truth, NumberReading(read, confidence, (), reason or uncertain))


def results(*outcomes: NumberOutcome) -> NumberResults:
    return NumberResults("numbers", "cheques", THRESHOLD, outcomes)


def test_each_kind_of_picture_is_counted_once() -> None:
    truth = [LabelledNumber(f"{text}.png", Path(), text) for text in ("12", "34", "56", "78", "90", "", "")]
    readings: list[NumberReading | DataError] = [
        NumberReading("12", 0.9, (), ""),
        NumberReading("39", 0.8, (), ""),  # wrong and accepted
        NumberReading("56", 0.3, (), NumberReason.UNCERTAIN),
        NumberReading("78", 0.99, (), NumberReason.SEVERAL),  # right, but never accepted
        ImageError("90.png cannot be read"),
        NumberReading("", 0.0, (), NumberReason.BLANK),
        NumberReading("1", 0.6, (), ""),  # no number, but accepted
    ]
    measured = NumberResults("numbers", "cheques", THRESHOLD, pair(truth, readings))
    assert (measured.numbers, measured.right, len(measured.unreadable)) == (5, 3, 1)
    assert measured.accuracy is not None
    assert measured.accuracy.value == 3 / 5
    assert (measured.own.accepted, measured.own.wrong) == (3, 2)
    assert measured.own.coverage == 3 / 7
    assert measured.curve.coverage.tolist() == [1 / 7, 2 / 7, 3 / 7, 4 / 7]
    assert measured.suggested is not None
    assert (measured.suggested.threshold, measured.suggested.accepted, measured.suggested.wrong) == (0.9, 1, 0)
    assert [each.truth.text for each in measured.surest_wrong] == ["34", ""]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.sampled_from(["", "", *REASONS])), min_size=1, max_size=30)
)
def test_the_suggested_threshold_accepts_most_with_the_fewest_decimals(readings: list[tuple[float, bool, str]]) -> None:
    measured = results(*(outcome("12", "12" if right else "13", sure, reason) for sure, right, reason in readings))
    points = [measured.at(sure) for sure, _, reason in readings if not reason]
    good = [each.accepted for each in points if each.wrong <= 0.01 * each.accepted]
    suggested = measured.suggested
    assert (suggested.accepted if suggested else None) == max(good, default=None)
    if suggested:
        assert 0 <= suggested.threshold <= 1
        assert suggested.wrong <= 0.01 * suggested.accepted
        assert suggested.coverage == pytest.approx(measured.curve.coverage_at(0.01))


def test_a_threshold_is_short_unless_that_would_accept_more() -> None:
    for lower, upper, short in ((0.2, 0.91875974, 0.9187), (0.918741, 0.91875974, 0.91875), (0.3, 1.0, 1.0)):
        suggested = results(outcome("1", "1", upper), outcome("2", "3", lower)).suggested
        assert suggested is not None
        assert suggested.threshold == short


def test_there_may_be_nothing_to_accept_or_nothing_to_read() -> None:
    nothing = results(outcome("12", "", 0.0, NumberReason.BLANK))
    assert nothing.suggested is None
    assert nothing.own.risk is None
    assert nothing.as_dict()["own_threshold"]["wrong_share"] is None
    assert nothing.as_dict()["suggested_threshold"] is None
    assert results(outcome("", "", 0.0, NumberReason.BLANK)).accuracy is None
    assert results(outcome("12", "13", 0.9)).suggested is None
