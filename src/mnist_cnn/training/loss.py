"""The cross-entropy on integer or one-hot labels, and the accuracy reported during training."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.config import Config
from mnist_cnn.models.backend import keras


def encode_labels(labels: NDArray[np.int64], classes: int, form: Literal["sparse", "one-hot"]) -> NDArray[Any]:
    """Return labels int64 [n] as they are, or as one-hot rows float32 [n, classes]."""
    return np.eye(classes, dtype=np.float32)[labels] if form == "one-hot" else labels


def build_loss(config: Config) -> keras.losses.Loss:
    """Build the cross-entropy (natural logarithm) for the configured form of the labels."""
    if config.training.loss == "sparse":
        return keras.losses.SparseCategoricalCrossentropy()
    return keras.losses.CategoricalCrossentropy(label_smoothing=config.training.label_smoothing)


def build_metrics(config: Config) -> list[Any]:
    """Build the accuracy of a batch: the share of its digits, without outliers, classified correctly."""
    return [_AccuracyOnDigits(name="accuracy")] if config.training.outliers else ["accuracy"]


class _AccuracyOnDigits(keras.metrics.CategoricalAccuracy):  # type: ignore[misc]  # Keras ships no type information
    """Ignores outliers, which belong to every class equally."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        is_digit = keras.ops.cast(keras.ops.max(y_true, axis=-1) > 0.5, self.dtype)
        weight = is_digit if sample_weight is None else is_digit * sample_weight
        return super().update_state(y_true, y_pred, sample_weight=weight)
