"""The cross-entropy on integer or one-hot labels, and the accuracy reported during training."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.config import Config
from mnist_cnn.models.backend import keras
from mnist_cnn.training.distillation import LABELS, DistillationLoss


def encode_labels(labels: NDArray[np.int64], classes: int, form: Literal["sparse", "one-hot"]) -> NDArray[Any]:
    """Return labels int64 [n] as they are, or as one-hot rows float32 [n, classes]."""
    return np.eye(classes, dtype=np.float32)[labels] if form == "one-hot" else labels


def build_loss(config: Config) -> keras.losses.Loss:
    """Build the cross-entropy (natural logarithm) for the configured form of the labels, or that of distillation."""
    distillation, smoothing = config.distillation, config.training.label_smoothing
    if distillation.teacher:
        return DistillationLoss(distillation.temperature, distillation.weight, smoothing)
    if config.training.loss == "sparse":
        return keras.losses.SparseCategoricalCrossentropy()
    return keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)


def build_metrics(config: Config) -> list[Any]:
    """Build the accuracy of a batch: the share of its digits, without outliers, classified correctly."""
    is_special = config.training.outliers or config.distillation.teacher
    return [_AccuracyOnDigits(name="accuracy")] if is_special else ["accuracy"]


class _AccuracyOnDigits(keras.metrics.CategoricalAccuracy):  # type: ignore[misc]  # Keras ships no type information
    """Ignores outliers, which belong to every class equally, and a teacher's answers."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if len(y_true.shape) == 3:
            y_true = y_true[:, LABELS]
        is_digit = keras.ops.cast(keras.ops.max(y_true, axis=-1) > 0.5, self.dtype)
        weight = is_digit if sample_weight is None else is_digit * sample_weight
        return super().update_state(y_true, y_pred, sample_weight=weight)
