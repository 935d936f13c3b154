from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mnist_cnn.evaluation.number_calibration import (
    acceptance_threshold,
    describe_number_confidence,
    describe_number_scores,
    fit_line_temperature,
    fit_log_odds,
)
from mnist_cnn.reading.numbers.ctc import log_probabilities
from mnist_cnn.reading.numbers.decoding import decode
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata

if TYPE_CHECKING:
    from numpy.typing import NDArray


def drawn_line(random: np.random.Generator, sharpness: float = 1.0) -> tuple[NDArray[np.floating[Any]], str]:
    """Scores of a line, times `sharpness`, and a text drawn from the probabilities that they give unsharpened."""
    scores = np.zeros((9, 11))
    scores[::2, 0] = 20  # blanks between the digits
    scores[1::2, 1:] = random.normal(0, 1, (4, 10))
    scores[1::2, 0] = -20
    best = random.integers(10, size=4)
    scores[range(1, 9, 2), best + 1] += random.uniform(1, 9, 4)
    shares = np.exp(scores[1::2, 1:])
    text = "".join(str(random.choice(10, p=row / row.sum())) for row in shares)
    return scores * sharpness, text


def lines(count: int, sharpness: float = 1.0) -> list[tuple[NDArray[np.floating[Any]], str]]:
    random = np.random.default_rng(0)
    return [drawn_line(random, sharpness) for _ in range(count)]


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_what_sharpened_the_scores(sharpness: float) -> None:
    assert fit_line_temperature(lines(300, sharpness)) == pytest.approx(sharpness, rel=0.1)


def test_the_log_odds_are_fitted() -> None:
    random = np.random.default_rng(0)
    log_odds = random.normal(1, 2, 5000)
    right = random.random(5000) < 1 / (1 + np.exp(-(0.7 * log_odds - 0.5)))
    assert fit_log_odds(log_odds, right) == pytest.approx((-0.5, 0.7), abs=0.1)
    assert fit_log_odds(log_odds, np.ones(5000, bool)) == (0, 1)


def test_the_threshold_is_the_lowest_with_one_percent_wrong() -> None:
    confidences = np.linspace(1, 0, 1000)
    right = np.ones(1000, bool)
    right[[200, 300, 400]] = False  # 1 of 201, 2 of 301, 3 of 401
    assert acceptance_threshold(confidences, right) == 0
    right[500:] = False
    threshold = acceptance_threshold(confidences, right)
    accepted = confidences >= threshold
    assert (~right[accepted]).mean() <= 0.01
    assert (~right[confidences >= threshold - 0.0011]).mean() > 0.01
    assert acceptance_threshold(confidences, np.zeros(1000, bool)) == 1
    assert acceptance_threshold(np.full(4, 0.5), np.array([True, True, True, False])) == 1


def read(
    metadata: NumberMetadata, scored: list[tuple[NDArray[np.floating[Any]], str]]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
    readings = [decode(log_probabilities(scores, metadata.temperature)) for scores, _ in scored]
    confidences = np.array([metadata.confidence(reading.log_probability) for reading in readings])
    return confidences, np.array([reading.text == text for reading, (_, text) in zip(readings, scored, strict=True)])


def test_confidences_are_right_as_often_as_they_say() -> None:
    scored = lines(400, 1.7)
    metadata = describe_number_scores(NumberMetadata(tuple("0123456789")), scored)
    metadata = describe_number_confidence(metadata, *read(metadata, scored))
    assert metadata.invalid_fields() == []
    random = np.random.default_rng(1)
    confidences, right = read(metadata, [drawn_line(random, 1.7) for _ in range(400)])
    assert confidences.mean() == pytest.approx(right.mean(), abs=0.05)
    assert 0 < metadata.fit_threshold <= 1


def test_numbers_that_only_a_known_length_reads_right_fit_it() -> None:
    def line(more: float) -> tuple[NDArray[np.floating[Any]], str]:
        """The number 1, or 12 with the odds `more`."""
        scores = np.zeros((4, 11))
        scores[[0, 2], 0] = 20
        scores[1, 2] = 20
        scores[3, [0, 3]] = 20 - math.log(more), 20
        return scores, "1"

    helped = [line(1.5)] * 4  # read as 12, unless it has one digit
    metadata = describe_number_scores(NumberMetadata(tuple("0123456789")), [*[line(0.01)] * 96, *helped])
    assert 0.2 < metadata.fit_threshold < 0.5
