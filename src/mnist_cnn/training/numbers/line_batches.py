"""Batches of composed lines: similar widths together, each line a little different each time it is used."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mnist_cnn.models.backend import keras
from mnist_cnn.reading.numbers.ctc import SYMBOLS
from mnist_cnn.reading.numbers.line_network import STRIDE
from mnist_cnn.reading.numbers.line_preparation import HEIGHT, PAPER
from mnist_cnn.training.numbers.line_plan import LinePlan
from mnist_cnn.training.numbers.portions import WIDEST_LINE, Portions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.composer import ComposedLine

LineBatch: TypeAlias = "tuple[NDArray[np.float32], dict[str, NDArray[Any]]]"
"""Images float32 [n, 32, w, 1], 0 to 1; targets `scores` int32 [n, 10] and `boxes` float32 [n, w / 4, 5]."""

LONGEST = 10  # digits of a text
_WIDTHS = (48, 64, 96, 128, 192, WIDEST_LINE)  # pixels; few different ones, because backends compile for each
_SORTED = 8  # batches sorted by width together: narrow lines need not be as wide as the widest
_GAIN = (0.8, 1.2)  # range of the factor of the ink's strength
_NOISE = (0, 0, 4, 8)  # grey levels, standard deviation, drawn for each line
_REACH = 1  # pixels beside a digit where a column still has its box
_PREFETCH = 4  # batches kept ready
_WHITE = np.float32(255)


@dataclass(frozen=True, eq=False)
class LineBatches:
    """The endless stream of batches; an epoch's depend only on the plan and the epoch's number."""

    portions: Portions
    plan: LinePlan

    def stream(self, first_epoch: int) -> Iterator[LineBatch]:
        """Yield the batches of one epoch after another (0-based)."""
        plan = self.plan
        stock: deque[list[ComposedLine]] = deque(maxlen=plan.stock)
        missing = max(0, first_epoch + plan.opening - plan.stock)
        for epoch in itertools.count(first_epoch):
            for index in range(missing, epoch + plan.opening):
                stock.append(self.portions.get(index))
            missing = epoch + plan.opening
            lines = [line for portion in stock for line in portion]
            yield from draw_batches(lines, plan, np.random.default_rng([plan.seed, 1, epoch]))

    def feed(self, first_epoch: int) -> Any:
        """Return the input of `Model.fit` on this backend."""
        if keras.backend.backend() != "tensorflow":
            return self.stream(first_epoch)
        import tensorflow as tf

        targets = {
            "scores": tf.TensorSpec((None, LONGEST), tf.int32),
            "boxes": tf.TensorSpec((None, None, 5), tf.float32),
        }
        signature = (tf.TensorSpec((None, HEIGHT, None, 1), tf.float32), targets)
        stream = tf.data.Dataset.from_generator(lambda: self.stream(first_epoch), output_signature=signature)
        return stream.prefetch(_PREFETCH)


def draw_batches(lines: Sequence[ComposedLine], plan: LinePlan, random: np.random.Generator) -> Iterator[LineBatch]:
    """Yield the batches of one epoch, from lines drawn with replacement."""
    size = plan.batch_size
    chosen = random.integers(len(lines), size=(plan.steps_per_epoch, size))
    for start in range(0, len(chosen), _SORTED):
        batches = by_width([lines[index] for index in chosen[start : start + _SORTED].ravel().tolist()], size)
        for index in random.permutation(len(batches)):
            yield arrange_lines([vary(line.image, random) for line in batches[index]], batches[index])


def by_width(lines: Sequence[ComposedLine], size: int) -> list[list[ComposedLine]]:
    """Sort lines by width, and cut them into batches."""
    ordered = sorted(lines, key=lambda line: line.image.shape[1])
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def vary(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float32]:
    """Change the ink's strength and add noise: float32 [32, w], grey levels."""
    varied = (image - np.float32(PAPER)) * np.float32(random.uniform(*_GAIN)) + PAPER
    noise = _NOISE[random.integers(len(_NOISE))]
    if noise:
        varied += random.standard_normal(image.shape, np.float32) * np.float32(noise)
    return np.asarray(varied.clip(0, _WHITE), np.float32)


def arrange_lines(images: Sequence[NDArray[Any]], lines: Sequence[ComposedLine]) -> LineBatch:
    """Put images into one array, with paper on their right, and add their targets.

    Args:
        images: [32, w], grey levels, at most `WIDEST_LINE` wide.
        lines: Their texts and boxes.
    """
    widest = max(image.shape[1] for image in images)
    width = next(width for width in _WIDTHS if width >= widest)
    batch = np.full((len(images), HEIGHT, width, 1), PAPER, np.float32)
    texts = np.zeros((len(images), LONGEST), np.int32)  # 0 ends a text
    for row, (image, line) in enumerate(zip(images, lines, strict=True)):
        batch[row, :, : image.shape[1], 0] = image
        texts[row, : len(line.text)] = [int(digit) + SYMBOLS - 10 for digit in line.text]
    boxes = np.stack([column_boxes(line.boxes, width // STRIDE) for line in lines])
    return batch / _WHITE, {"scores": texts, "boxes": boxes}


def column_boxes(boxes: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the box that each column should answer.

    Args:
        boxes: float32 [n, 4], left, top, right, bottom of each digit, pixels of the line.
        count: Number of columns, t.

    Returns:
        float32 [t, 5]: 1 in columns of a digit, otherwise 0; then the box of the digit with the nearest centre, in
        heights of the line, left and right from the column's centre.
    """
    targets = np.zeros((count, 5), np.float32)
    if len(boxes):
        place = np.arange(count) * STRIDE + STRIDE / 2  # [t], centres of columns
        nearest = boxes[np.abs(place[:, np.newaxis] - (boxes[:, 0] + boxes[:, 2]) / 2).argmin(axis=1)]  # [t, 4]
        targets[:, 0] = (place >= nearest[:, 0] - _REACH) & (place <= nearest[:, 2] + _REACH)
        targets[:, 1:] = nearest
        targets[:, [1, 3]] -= place[:, np.newaxis]
        targets[:, 1:] /= HEIGHT
    return targets
