"""Calibrated confidence of whole numbers, fitted on held-out lines: arrays in, numbers out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mnist_cnn.evaluation.metrics import risk_coverage
from mnist_cnn.reading.metadata import TEMPERATURES
from mnist_cnn.reading.numbers.constraints import Constraint
from mnist_cnn.reading.numbers.ctc import log_probabilities, text_log_probabilities
from mnist_cnn.reading.numbers.decoding import decode
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ScoredText: TypeAlias = tuple[NDArray[np.floating[Any]], str]  # scores [t, 11] of a line, and what it says

WRONG_AMONG_ACCEPTED = 0.01  # the operating point
_LEAST_LOG = -200.0  # nats; a line that is misread with certainty must not cost infinity
_MOST_LOG_ODDS = 30.0
_FITTING = 0.99  # share of numbers, among those read right, that fit their own length as a constraint


def fit_line_temperature(lines: Sequence[ScoredText]) -> float:
    """Find the temperature at which the texts are most probable (Guo et al. 2017, on whole texts)."""
    from scipy.optimize import minimize_scalar

    def cost(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        logs = [text_log_probabilities(log_probabilities(scores, temperature), [text])[0] for scores, text in lines]
        return -float(np.maximum(logs, _LEAST_LOG).mean())

    found = minimize_scalar(cost, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 0.01})
    return math.exp(found.x)


def fit_log_odds(log_odds: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit the probability that a reading is right to its log-odds (Platt 1999).

    Args:
        log_odds: [n], nats.
        right: [n]; if all are the same, nothing can be fitted.

    Returns:
        Bias and slope; 0 and 1 if nothing can be fitted.
    """
    from sklearn.linear_model import LogisticRegression

    if right.all() or not right.any():
        return 0.0, 1.0
    fitted = LogisticRegression(C=1e3).fit(log_odds[:, np.newaxis], right)
    return float(fitted.intercept_[0]), max(float(fitted.coef_[0, 0]), 0.01)


def acceptance_threshold(confidences: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """Find the lowest confidence from which on at most `WRONG_AMONG_ACCEPTED` of the readings are wrong.

    Args:
        confidences: [n], 0 to 1.
        right: [n].

    Returns:
        0 to 1; 1 if even the most confident readings are wrong too often.
    """
    return min(1.0, risk_coverage(confidences, right).threshold_at(WRONG_AMONG_ACCEPTED))


def describe_number_scores(metadata: NumberMetadata, lines: Sequence[ScoredText]) -> NumberMetadata:
    """Add the temperature and the threshold of constraints to a model's metadata, fitted on held-out lines.

    Args:
        metadata: Whatever else is known.
        lines: Numbers, and also what is not a number: its text is empty.
    """
    temperature = fit_line_temperature(lines)
    columns = [log_probabilities(scores, temperature) for scores, _ in lines]
    right = [each for each, (_, text) in zip(columns, lines, strict=True) if text and decode(each).text == text]
    texts = [decode(each).text for each in right]
    fits = [_own_length_fit(each, text) for each, text in zip(right, texts, strict=True)]
    fit_threshold = float(np.quantile(fits, 1 - _FITTING)) if fits else 0.0
    return dataclasses.replace(metadata, temperature=temperature, fit_threshold=fit_threshold)


def describe_number_confidence(
    metadata: NumberMetadata, confidences: NDArray[np.floating[Any]], right: NDArray[np.bool_]
) -> NumberMetadata:
    """Add the calibration and the threshold of acceptance to a model's metadata, fitted on held-out readings.

    Args:
        metadata: Not calibrated yet: bias 0 and slope 1.
        confidences: [n] of a reader with these metadata, 0 to 1, of what it read as a number.
        right: [n]; False where there is not a number.
    """
    logs = np.log(np.maximum(confidences, math.exp(_LEAST_LOG)))
    bias, slope = fit_log_odds(_log_odds(logs), right)
    fitted = dataclasses.replace(metadata, calibration_bias=bias, calibration_slope=slope)
    calibrated = np.array([fitted.confidence(float(log)) for log in logs])
    return dataclasses.replace(fitted, rejection_threshold=acceptance_threshold(calibrated, right))


def _log_odds(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    # Logarithms of probabilities; near 0 the odds are infinite.
    odds: NDArray[np.float64] = logs - np.log(np.maximum(-np.expm1(logs), math.exp(-_MOST_LOG_ODDS)))
    return odds


def _own_length_fit(columns: NDArray[np.float64], text: str) -> float:
    """Return the probability that a line has as many digits as it has."""
    constraint = Constraint.of(length=len(text))
    return math.exp(min(0.0, decode(columns, constraint.automaton).log_fit)) if constraint else 1.0
