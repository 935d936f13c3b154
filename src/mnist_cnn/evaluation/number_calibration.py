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

    from mnist_cnn.reading.numbers.automaton import Automaton

    ScoredText: TypeAlias = tuple[NDArray[np.floating[Any]], str]  # scores [t, 11] of a line, and what it says

WRONG_AMONG_ACCEPTED = 0.01  # the operating point
_LEAST_LOG = -200.0  # nats; a line that is misread with certainty must not cost infinity
_MOST_LOG_ODDS = 30.0
_FITTING = 0.99  # share of numbers, among those read right under a constraint, that are taken to fit it


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

    The threshold is chosen on the numbers that are read right if their length is known. Those that are read right only
    then fit it least, and are what a constraint is for.

    Args:
        metadata: Whatever else is known.
        lines: Numbers, and also what is not a number: its text is empty.
    """
    temperature = fit_line_temperature(lines)
    columns = [log_probabilities(scores, temperature) for scores, _ in lines]
    known = [(each, text) for each, (_, text) in zip(columns, lines, strict=True) if text]
    decoded = [(decode(each, _of_length(text)), text) for each, text in known]
    fits = [math.exp(min(0.0, each.log_fit)) for each, text in decoded if each.text == text]
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
    bias, slope = fit_log_odds(_log_odds(_logs(confidences)), right)
    fitted = dataclasses.replace(metadata, calibration_bias=bias, calibration_slope=slope)
    return choose_threshold(fitted, confidences, right)


def choose_threshold(
    metadata: NumberMetadata, confidences: NDArray[np.floating[Any]], right: NDArray[np.bool_]
) -> NumberMetadata:
    """Choose the threshold of acceptance on other readings, such as those of real pictures.

    Args:
        metadata: Calibrated.
        confidences: [n] before calibration; see `describe_number_confidence`.
        right: [n]; False where there is not a number.
    """
    calibrated = np.array([metadata.confidence(float(log)) for log in _logs(confidences)])
    return dataclasses.replace(metadata, rejection_threshold=acceptance_threshold(calibrated, right))


def _logs(confidences: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(confidences, math.exp(_LEAST_LOG))), np.float64)


def _log_odds(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    # Logarithms of probabilities; near 0 the odds are infinite.
    odds: NDArray[np.float64] = logs - np.log(np.maximum(-np.expm1(logs), math.exp(-_MOST_LOG_ODDS)))
    return odds


def _of_length(text: str) -> Automaton | None:
    """Return the automaton of all numbers with as many digits."""
    constraint = Constraint.of(length=len(text))
    return constraint.automaton if constraint else None
