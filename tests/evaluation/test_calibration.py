from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.evaluation.calibration import describe_confidence, fit_temperature
from mnist_cnn.reading.metadata import ModelMetadata


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def drawn(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and labels drawn from exactly the probabilities that these logits stand for."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 5))
    return logits, np.array([random.choice(5, p=row) for row in softmax(logits)])


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_that_distorted_the_probabilities_is_found(temperature: float) -> None:
    logits, labels = drawn(4000, seed=1)
    assert fit_temperature(softmax(logits * temperature), labels) == pytest.approx(temperature, rel=0.1)


def test_a_certain_wrong_answer_does_not_make_the_loss_infinite() -> None:
    probabilities = np.eye(3)[[0, 1, 2, 0]]
    assert np.isfinite(fit_temperature(probabilities, np.array([0, 1, 2, 1])))


@pytest.mark.parametrize("temperature", [0.1, 10])
def test_calibration_is_the_softmax_of_divided_logits(temperature: float) -> None:
    logits, _ = drawn(200, seed=3)
    found = ModelMetadata(class_names=(), temperature=temperature).calibrate(softmax(logits))
    np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-5)


def test_metadata_get_temperature_and_threshold() -> None:
    logits, labels = drawn(2000, seed=2)
    described = describe_confidence(ModelMetadata(class_names=tuple("abcde")), softmax(logits * 2), labels)
    assert described.temperature == pytest.approx(2, rel=0.15)
    accepted = described.calibrate(softmax(logits * 2)).max(axis=1) >= described.rejection_threshold
    assert accepted.mean() == pytest.approx(0.99, abs=0.002)
