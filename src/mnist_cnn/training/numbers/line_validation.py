"""How many held-out lines a network reads whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.models.backend import keras
from mnist_cnn.training.numbers.line_batches import arrange_lines, by_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.composer import ComposedLine

_BATCH = 64  # lines


def share_read(model: keras.Model, lines: Sequence[ComposedLine]) -> float:
    """Return the share of lines, 0 to 1, whose best path is their text."""
    right = 0
    for batch in by_width(lines, _BATCH):
        images, _ = arrange_lines([line.image for line in batch], batch)
        scores = keras.ops.convert_to_numpy(model.predict_on_batch(images)[0])  # [n, t, 11]
        right += sum(best_path(each) == line.text for each, line in zip(scores, batch, strict=True))
    return right / len(lines)


def best_path(scores: NDArray[np.float32]) -> str:
    """Read the best symbol of each column: repeated ones are merged and blanks dropped.

    It finds the most probable text nearly always, and much faster than `decode`.
    """
    symbols = scores.argmax(axis=1)
    begins = np.concatenate([[True], symbols[1:] != symbols[:-1]])
    return "".join(str(symbol - 1) for symbol in symbols[begins] if symbol)
