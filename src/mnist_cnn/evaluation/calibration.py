"""How far a network's probabilities can be believed, and below which confidence it had better say so.

Numbers in, numbers out, always on held-out digits: neither training nor test images.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from mnist_cnn.reading.metadata import TEMPERATURES, ModelMetadata

ACCEPTED_DIGITS = 0.99  # share of held-out digits whose confidence reaches the rejection threshold
_SMALLEST_PROBABILITY = 1e-30  # a wrong answer given with certainty must not cost infinity


def fit_temperature(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """Find the temperature with the least cross-entropy on held-out digits (Guo et al. 2017).

    Args:
        probabilities: [n, k], the network's own, each row a softmax.
        labels: [n], 0 … k - 1.

    Returns:
        Above 1 where the network is too sure of itself, below 1 where it is too timid.
    """
    own = np.asarray(probabilities, np.float64)

    def cross_entropy(log_temperature: float) -> float:
        given = calibrated(own, float(np.exp(log_temperature)))[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(given, _SMALLEST_PROBABILITY)).mean())

    found = optimize.minimize_scalar(cross_entropy, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def rejection_threshold(confidences: NDArray[np.floating[Any]], accepted: float = ACCEPTED_DIGITS) -> float:
    """Find the confidence that a given share of held-out digits reaches.

    Args:
        confidences: [n], the highest calibrated probability of each digit.
        accepted: Share of them that must be accepted, 0 … 1.
    """
    return float(np.quantile(confidences, 1 - accepted, method="lower"))


def calibrated(probabilities: NDArray[np.floating[Any]], temperature: float) -> NDArray[np.float32]:
    """Give the probabilities [n, k] at a temperature, as every reader of the model file computes them."""
    return ModelMetadata(class_names=(), temperature=temperature).calibrate(probabilities)


def describe_confidence(
    metadata: ModelMetadata, probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
) -> ModelMetadata:
    """Put temperature and rejection threshold, both chosen on held-out digits, into a model's description."""
    fitted = dataclasses.replace(metadata, temperature=fit_temperature(probabilities, labels))
    confidences = fitted.calibrate(probabilities).max(axis=1)
    return dataclasses.replace(fitted, rejection_threshold=rejection_threshold(confidences))
