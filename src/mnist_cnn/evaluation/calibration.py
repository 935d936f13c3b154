"""Calibrated confidence: the temperature and the rejection threshold of a trained network.

Arrays in, numbers out, always from held-out digits: neither training nor test images.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.reading.metadata import TEMPERATURES, ModelMetadata

ACCEPTED_DIGITS = 0.99  # share of held-out digits whose confidence reaches the rejection threshold
_SMALLEST_PROBABILITY = 1e-30  # a wrong answer given with certainty must not cost infinity


def fit_temperature(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """Find the temperature with the lowest cross-entropy on held-out digits (Guo et al. 2017).

    Args:
        probabilities: [n, k], uncalibrated, each row a softmax.
        labels: [n], 0 … k - 1.

    Returns:
        Above 1 if the network is overconfident, below 1 if it is underconfident.
    """
    from scipy.optimize import minimize_scalar

    own = np.asarray(probabilities, np.float64)

    def cross_entropy(log_temperature: float) -> float:
        calibrated = ModelMetadata(class_names=(), temperature=float(np.exp(log_temperature))).calibrate(own)
        given = calibrated[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(given, _SMALLEST_PROBABILITY)).mean())

    found = minimize_scalar(cross_entropy, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def rejection_threshold(confidences: NDArray[np.floating[Any]]) -> float:
    """Find the confidence, [n], that `ACCEPTED_DIGITS` of the held-out digits reach."""
    return float(np.quantile(confidences, 1 - ACCEPTED_DIGITS, method="lower"))


def describe_confidence(
    metadata: ModelMetadata, probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
) -> ModelMetadata:
    """Add the temperature and the rejection threshold, both fitted on held-out digits, to a model's metadata."""
    fitted = dataclasses.replace(metadata, temperature=fit_temperature(probabilities, labels))
    confidences = fitted.calibrate(probabilities).max(axis=1)
    return dataclasses.replace(fitted, rejection_threshold=rejection_threshold(confidences))
