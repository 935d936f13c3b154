"""The loss and the form of the labels it takes: integers or one-hot rows, the same cross-entropy on both."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.config import Config
from mnist_cnn.models.backend import keras


def encode_labels(labels: NDArray[np.int64], classes: int, form: Literal["sparse", "one-hot"]) -> NDArray[Any]:
    """Give labels int64 [n] as they are, or as one-hot rows float32 [n, classes]."""
    return np.eye(classes, dtype=np.float32)[labels] if form == "one-hot" else labels


def build_loss(config: Config) -> keras.losses.Loss:
    """Give the cross-entropy (natural logarithm) that fits the form of the labels."""
    if config.training.loss == "sparse":
        return keras.losses.SparseCategoricalCrossentropy()
    return keras.losses.CategoricalCrossentropy(label_smoothing=config.training.label_smoothing)


def build_metrics(config: Config) -> list[Any]:
    """Give what is measured of every batch: the share that is read rightly, of the digits among the images."""
    return [_AccuracyOnDigits(name="accuracy")] if config.training.outliers else ["accuracy"]


class _AccuracyOnDigits(keras.metrics.CategoricalAccuracy):  # type: ignore[misc]  # Keras ships no type information
    """Leaves out what belongs to every class alike, which no answer gets right."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        is_digit = keras.ops.cast(keras.ops.max(y_true, axis=-1) > 0.5, self.dtype)
        weight = is_digit if sample_weight is None else is_digit * sample_weight
        return super().update_state(y_true, y_pred, sample_weight=weight)
