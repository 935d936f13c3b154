"""What a training on lines minimises."""

from __future__ import annotations

from typing import Any

from mnist_cnn.models.backend import keras, ops
from mnist_cnn.reading.conventions import LINE_OUTPUTS

Tensor = Any  # of the backend


def line_losses() -> dict[str, Any]:
    """Return the loss of each output, for `Model.compile`."""
    return dict(zip(LINE_OUTPUTS, (keras.losses.CTC(), box_loss), strict=True))


def box_loss(targets: Tensor, boxes: Tensor) -> Tensor:
    """Return the mean absolute error of the four edges together, in columns of a digit only.

    Args:
        targets: [n, t, 5], from `column_boxes`.
        boxes: [n, t, 4].

    Returns:
        A scalar, heights of the line.
    """
    inside = targets[:, :, 0]
    errors = ops.sum(ops.abs(boxes - targets[:, :, 1:]), axis=-1)
    return ops.sum(errors * inside) / (ops.sum(inside) + 1)
