"""How many held-out lines a network reads whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnist_cnn.models.backend import keras
from mnist_cnn.reading.numbers.ctc import best_path
from mnist_cnn.training.numbers.line_batches import arrange_lines, by_width

if TYPE_CHECKING:
    from mnist_cnn.composition.composer import ComposedLine

_BATCH = 64  # lines


def share_read(model: keras.Model, lines: Sequence[ComposedLine]) -> float:
    """Return the share of lines, 0 to 1, whose best path is their text; to decode every line would take much longer."""
    right = 0
    for batch in by_width(lines, _BATCH):
        images, _ = arrange_lines([line.image for line in batch], batch)
        scores = keras.ops.convert_to_numpy(model.predict_on_batch(images)[0])  # [n, t, 11]
        right += sum(best_path(each) == line.text for each, line in zip(scores, batch, strict=True))
    return right / len(lines)
