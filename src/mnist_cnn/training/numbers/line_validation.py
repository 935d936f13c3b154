"""How many held-out lines a network reads whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.models.backend import keras
from mnist_cnn.training.numbers.line_batches import arrange_lines, by_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.composer import ComposedLine

_BATCH = 64  # lines


@dataclass(frozen=True, eq=False)
class LineScores:
    """What a network answers for one line."""

    line: ComposedLine
    scores: NDArray[np.float32]  #: float32 [t, 11], logits


def score_lines(model: keras.Model, lines: Sequence[ComposedLine]) -> Iterator[LineScores]:
    """Yield the network's scores of each line, from the narrowest to the widest."""
    for batch in by_width(lines, _BATCH):
        images, _ = arrange_lines([line.image for line in batch], batch)
        scores = keras.ops.convert_to_numpy(model.predict_on_batch(images)[0])
        yield from map(LineScores, batch, scores)


def share_read(model: keras.Model, lines: Sequence[ComposedLine]) -> float:
    """Return the share of lines, 0 to 1, whose best path is their text."""
    return float(np.mean([best_path(answer.scores) == answer.line.text for answer in score_lines(model, lines)]))


def best_path(scores: NDArray[np.float32]) -> str:
    """Read the best symbol of each column: repeated ones are merged and blanks dropped.

    It finds the most probable text nearly always, and much faster than `decode`.
    """
    symbols = scores.argmax(axis=1)
    begins = np.concatenate([[True], symbols[1:] != symbols[:-1]])
    return "".join(str(symbol - 1) for symbol in symbols[begins] if symbol)
