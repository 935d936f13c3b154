"""CTC's sums against all paths."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from mnist_cnn.reading.numbers import ctc
from mnist_cnn.reading.numbers.ctc import align, best_path, log_probabilities, text_log_probabilities
from reading.numbers import paths

TEXTS = ["", "0", "5", "00", "01", "10", "15", "000", "010", "0150", "00000"]


def test_a_temperature_flattens_the_probabilities() -> None:
    scores = np.array([[2.0, 0, *[-2.0] * 9]])
    np.testing.assert_allclose(np.exp(log_probabilities(scores)).sum(axis=1), 1)
    assert np.exp(log_probabilities(scores, 4.0)).max() < np.exp(log_probabilities(scores)).max()


@given(columns=paths.few_columns())
def test_a_text_has_the_probability_of_all_its_paths(columns: NDArray[np.float64]) -> None:
    expected = paths.probabilities(columns, paths.FEW)
    found = np.exp(text_log_probabilities(columns, TEXTS))
    np.testing.assert_allclose(found, [expected[text] for text in TEXTS], rtol=1e-9, atol=1e-30)


def test_a_text_without_room_is_impossible() -> None:
    columns = log_probabilities(np.zeros((3, 11)))
    assert np.isneginf(text_log_probabilities(columns, ["1234", "11", "111"])).tolist() == [True, False, True]


@pytest.mark.parametrize("block", [2, 64])
@given(columns=paths.few_columns())
def test_each_substitute_has_the_probability_of_its_text(block: int, columns: NDArray[np.float64]) -> None:
    for text in filter(None, TEXTS):
        if np.isneginf(text_log_probabilities(columns, [text])[0]):
            continue
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ctc, "_BLOCK", block)
            substitutes = align(columns, text).substitutes
        for place, digit in itertools.product(range(len(text)), range(10)):
            other = text[:place] + str(digit) + text[place + 1 :]
            expected = text_log_probabilities(columns, [other])[0]
            assert substitutes[place, digit] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(columns=paths.few_columns())
def test_sums_of_logarithms_are_the_same(columns: NDArray[np.float64]) -> None:
    sums = text_log_probabilities(columns, TEXTS)
    possible = [text for text, log in zip(TEXTS, sums, strict=True) if text and log > -np.inf]
    alignments = [align(columns, text) for text in possible]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctc, "_LEAST", np.inf)  # no text is probable enough for sums of probabilities
        np.testing.assert_allclose(text_log_probabilities(columns, TEXTS), sums, rtol=1e-9, atol=1e-9)
        for text, alignment in zip(possible, alignments, strict=True):
            np.testing.assert_allclose(align(columns, text).substitutes, alignment.substitutes, rtol=1e-9, atol=1e-9)


def test_the_peaks_are_where_the_digits_are() -> None:
    scores = np.zeros((12, 11))
    scores[:, 0] = 5
    for column, digit in ((1, 3), (5, 3), (6, 3), (10, 7)):
        scores[column, digit + 1] = 9
    scores[6, 4] = 12
    assert align(log_probabilities(scores), "337").peaks.tolist() == [1, 6, 10]


def test_a_long_line_does_not_underflow() -> None:
    random = np.random.default_rng(0)
    columns = log_probabilities(random.normal(0, 1, (900, 11)))
    text = "".join(map(str, random.integers(0, 10, 150)))
    log_probability = text_log_probabilities(columns, [text])[0]
    assert -1e5 < log_probability < -700  # exp would be 0
    substitutes = align(columns, text).substitutes
    own = substitutes[np.arange(150), [int(digit) for digit in text]]
    np.testing.assert_allclose(own, log_probability)


@given(columns=paths.few_columns(longest=5))
def test_a_best_path_is_one_of_the_most_probable_symbols(columns: NDArray[np.float64]) -> None:
    path = "".join("–0123456789"[symbol] for symbol in columns.argmax(axis=1))
    merged = re.sub(r"(.)\1*", r"\1", path)
    assert best_path(columns) == merged.replace("–", "")
