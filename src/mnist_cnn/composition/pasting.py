"""Numbers pasted together from small pictures of digits, as people do who try a reader with MNIST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.composition.writing import WrittenLine

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOW, _HIGH = 1.0, 2.6  # enlargement
_INK = 64  # grey level of what counts as ink
_DIGIT = 20  # pixels, height of MNIST's digits within their 28
_WHITE = 255


def paste(pictures: Sequence[NDArray[np.uint8]], text: str, random: np.random.Generator) -> WrittenLine:
    """Paste pictures side by side: edge to edge, or so close that the ink nearly touches.

    Args:
        pictures: uint8 [28, 28] each, ink light on 0, one for each digit of `text`.
        text: The digits.
        random: Source of the draws.
    """
    zoom = float(random.uniform(_LOW, _HIGH))
    tiles = [_enlarged(each, zoom) for each in pictures]
    inked = [cv2.boundingRect((tile > _INK).astype(np.uint8)) for tile in tiles]
    lefts = _places(tiles, inked, zoom, random)
    high, wide = tiles[0].shape
    canvas = np.zeros((high, lefts[-1] + wide), np.uint8)
    for left, tile in zip(lefts, tiles, strict=True):
        part = canvas[:, left : left + wide]
        np.maximum(part, tile, out=part)
    boxes = [(left + x, y, left + x + w, y + h) for left, (x, y, w, h) in zip(lefts, inked, strict=True)]
    return WrittenLine(canvas.astype(np.float32) / np.float32(_WHITE), text, np.array(boxes, np.float32), _DIGIT * zoom)


def _enlarged(picture: NDArray[np.uint8], zoom: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC), np.uint8)


def _places(
    tiles: Sequence[NDArray[np.uint8]],
    inked: Sequence[Sequence[int]],
    zoom: float,
    random: np.random.Generator,
) -> list[int]:
    """Choose the left edge of each picture."""
    wide = tiles[0].shape[1]
    if random.random() < 0.4:  # whole pictures side by side
        step = wide + int(zoom * random.uniform(-6, 4))
        return [index * step for index in range(len(tiles))]
    gap = zoom * random.uniform(0, 8)
    right = zoom * 4.0
    lefts: list[int] = []
    for x, _, width, _ in inked:
        lefts.append(max(0, round(right - x)))
        right = lefts[-1] + x + width + gap + zoom * random.uniform(0, 2)
    return lefts
