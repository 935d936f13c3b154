"""The decoder against all paths: free, and under constraints."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_cnn.reading.numbers.constraints import Constraint
from mnist_cnn.reading.numbers.ctc import log_probabilities
from mnist_cnn.reading.numbers.decoding import decode
from mnist_cnn.reading.numbers.guidance import Constrained
from mnist_cnn.reading.numbers.prefix_search import BEAM, Free, search
from reading.numbers import paths

PATTERNS = [r"\d*", r"[1-9]\d*", "5|01", "(01)+", r"\d{2}", "0?1?5?", "00", "1[^1]*1", r"(0|5)+1-?\d?"]


def uncertain(count: int = 40, seed: int = 0) -> NDArray[np.float64]:
    return log_probabilities(np.random.default_rng(seed).normal(0, 1, (count, 11)))


def written(text: str, count: int = 0) -> NDArray[np.float64]:
    """Columns of a text, written clearly: a blank beside each digit."""
    scores = np.zeros((max(count, 3 * len(text) + 1), 11))
    scores[:, 0] = 8
    for place, digit in enumerate(text):
        scores[3 * place + 1, int(digit) + 1] = 16
    return log_probabilities(scores)


@given(columns=paths.few_columns())
def test_the_most_probable_text_of_all_is_found(columns: NDArray[np.float64]) -> None:
    expected = paths.probabilities(columns, paths.FEW)
    decoded = decode(columns)
    if expected[""] > 0.5 + 1e-9:
        assert decoded.text == ""
    elif decoded.text:
        assert np.exp(decoded.log_probability) == pytest.approx(max(expected.values()))
    else:
        assert expected[""] == pytest.approx(max(expected.values()))


@given(columns=paths.few_columns(), pattern=st.sampled_from(PATTERNS))
def test_the_most_probable_text_that_fits_is_found(columns: NDArray[np.float64], pattern: str) -> None:
    texts = paths.probabilities(columns, paths.FEW)
    fitting = {text: share for text, share in texts.items() if re.fullmatch(pattern, text)}
    guide = Constrained(columns, Constraint(pattern=pattern).automaton)
    total = sum(fitting.values())
    if total < 1e-15:  # only with the digits that the reference leaves out, or not at all
        assert guide.log_fit < -30
        return
    assert np.exp(guide.log_fit) == pytest.approx(total, rel=1e-6)
    assert fitting[search(guide, len(columns))[0]] == pytest.approx(max(fitting.values()), rel=1e-3)


@given(columns=paths.few_columns(longest=4), pattern=st.sampled_from(PATTERNS))
def test_the_confidence_is_among_the_texts_that_fit(columns: NDArray[np.float64], pattern: str) -> None:
    texts = paths.probabilities(columns, paths.FEW)
    fitting = {text: share for text, share in texts.items() if re.fullmatch(pattern, text)}
    decoded = decode(columns, Constraint(pattern=pattern).automaton)
    if decoded.text and len(fitting) > ("" in fitting):
        assert re.fullmatch(pattern, decoded.text)
    if decoded.text in fitting and decoded.text:  # the reference has few of the digits
        expected = fitting[decoded.text] / sum(fitting.values())
        assert np.exp(decoded.log_probability) == pytest.approx(expected, rel=1e-6)


def test_weights_given_a_constraint_sum_to_1() -> None:
    columns = uncertain(12)
    guide = Constrained(columns, Constraint(pattern=r"(12|21)\d{2,3}").automaton)
    ends = [(0, 0), (int(guide.follow(0, 1)), 2), (int(guide.follow(0, 1)), 0)]
    assert [sum(weights.values()) for weights in guide.weights(3, ends)] == pytest.approx([1] * 3, abs=0.01)


def test_a_constraint_that_allows_everything_changes_nothing() -> None:
    columns = uncertain()
    free = search(Free(columns), len(columns))
    guide = Constrained(columns, Constraint(pattern=r"\d*").automaton)
    assert guide.log_fit == pytest.approx(0)
    assert search(guide, len(columns)) == free
    assert len(free) == BEAM


def test_clear_numbers_are_read_with_repeated_digits() -> None:
    for text in ("7", "00", "1123", "9" * 100):
        decoded = decode(written(text))
        assert decoded.text == text
        assert decoded.confidences.min() > 0.99
        assert decoded.peaks.tolist() == [3 * place + 1 for place in range(len(text))]


def test_a_reading_that_fits_is_found_far_from_the_free_one() -> None:
    columns = written("123456", count=60)
    decoded = decode(columns, Constraint(pattern="9{30}").automaton)  # 30 nines need 59 columns
    assert decoded.text == "9" * 30
    assert decoded.log_probability == pytest.approx(0, abs=1e-6)
    assert decoded.log_fit < -200


def test_the_digits_that_fit_compete() -> None:
    scores = np.zeros((4, 11))
    scores[:, 0] = 8
    scores[1, [2, 8]] = 10, 9.5  # 1, or else 7
    columns = log_probabilities(scores)
    assert decode(columns).confidences[0] == pytest.approx(1 / (1 + np.exp(-0.5)), abs=0.01)
    assert decode(columns, Constraint(pattern="[17]").automaton).text == "1"
    only = decode(columns, Constraint(pattern="[37]").automaton)
    assert only.text == "7"
    assert only.confidences[0] > 0.99


def test_what_has_no_room_does_not_fit() -> None:
    decoded = decode(written("12"), Constraint.of(length=9).automaton)  # type: ignore[union-attr]
    assert decoded.text == ""
    assert np.isneginf(decoded.log_fit)


def test_empty_columns_stay_blank_under_a_constraint() -> None:
    decoded = decode(written("", count=30), Constraint(pattern="12345").automaton)
    assert decoded.text == ""
    assert decoded.log_fit == 0


def test_long_and_hopeless_columns_are_decoded() -> None:
    columns = uncertain(1024)
    assert len(decode(columns).text) > 100
    assert len(decode(columns, Constraint(200, 200).automaton).text) == 200
