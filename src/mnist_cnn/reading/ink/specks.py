"""Single pixels that differ from all around them, such as the salt and pepper of a bad sensor or of a bad line."""

from __future__ import annotations

import cv2
import numpy as np

from mnist_cnn.reading.ink.pixels import Pixels

_LARGE = 128  # pixels, longer side; larger images are averaged before strokes are found
_LEAST = 20  # pixels, shorter side; in a smaller image, a stroke may be one pixel wide and long
_MANY = 0.015  # share of pixels with at most one neighbour like them; an image without noise has the ends of thin lines
_ROUNDS = 3  # each removes what the one before left alone


def without_specks(grey: Pixels) -> Pixels:
    """Replace specks by the median of their neighbourhood, if a small image, uint8 [h, w], has many of them."""
    if max(grey.shape) > _LARGE or min(grey.shape) < _LEAST:
        return grey
    span = int(grey.max()) - int(grey.min())
    if np.count_nonzero(_neighbours_alike(grey, span) <= 1) < _MANY * grey.size:
        return grey
    for left in reversed(range(_ROUNDS)):
        specks = _neighbours_alike(grey, span) <= (1 if left else 2)
        grey = np.where(specks, cv2.medianBlur(grey, 3), grey)
    return grey


def _neighbours_alike(grey: Pixels, span: int) -> Pixels:
    """Count for each pixel those of its eight neighbours that differ by at most half of the span."""
    height, width = grey.shape
    around = cv2.copyMakeBorder(grey, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    count = np.full(grey.shape, -1, np.int8)  # each pixel is like itself
    for row in range(3):
        for column in range(3):
            count += cv2.absdiff(grey, around[row : row + height, column : column + width]) <= span / 2
    return count
