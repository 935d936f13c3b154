from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_cnn.evaluation.calibration import calibrated, describe_confidence, fit_temperature, rejection_threshold
from mnist_cnn.reading.metadata import ModelMetadata


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def drawn(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and labels drawn from exactly the probabilities that these logits stand for."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, 5))
    labels = [random.choice(5, p=row) for row in softmax(logits)]
    return logits, np.array(labels)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_probabilities_is_found_again(temperature: float) -> None:
    logits, labels = drawn(4000, seed=1)
    assert fit_temperature(softmax(logits * temperature), labels) == pytest.approx(temperature, rel=0.1)


def test_a_certain_wrong_answer_costs_no_infinity() -> None:
    probabilities = np.eye(3)[[0, 1, 2, 0]]
    assert np.isfinite(fit_temperature(probabilities, np.array([0, 1, 2, 1])))


@given(seed=st.integers(0, 1000), temperature=st.floats(0.1, 10))
def test_calibration_is_the_softmax_of_divided_logits_and_keeps_the_order(seed: int, temperature: float) -> None:
    logits, _ = drawn(20, seed)
    found = calibrated(softmax(logits), temperature)
    np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-5)
    np.testing.assert_array_equal(found.argmax(axis=1), logits.argmax(axis=1))


def test_the_threshold_lets_the_wanted_share_through() -> None:
    confidences = np.random.default_rng(0).random(1000)
    threshold = rejection_threshold(confidences, accepted=0.9)
    assert (confidences >= threshold).mean() == pytest.approx(0.9, abs=0.002)
    assert rejection_threshold(confidences, accepted=1.0) == confidences.min()


def test_a_description_gets_both() -> None:
    logits, labels = drawn(2000, seed=2)
    described = describe_confidence(ModelMetadata(class_names=tuple("abcde")), softmax(logits * 2), labels)
    assert described.temperature == pytest.approx(2, rel=0.15)
    accepted = described.calibrate(softmax(logits * 2)).max(axis=1) >= described.rejection_threshold
    assert accepted.mean() == pytest.approx(0.99, abs=0.002)
