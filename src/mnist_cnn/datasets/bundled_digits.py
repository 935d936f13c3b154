"""scikit-learn's bundled digits: 1,797 real handwritten digits, converted to MNIST's form. Needs no network connection.

They are the test part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin, Kaynak 1998): 32×32
bitmaps, reduced to 8×8 by counting the ink in blocks of 4×4, which gives values from 0 to 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.errors import MissingExtraError
from mnist_cnn.reading.conventions import IMAGE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FULL_INK = 16  # the largest value of the 8×8 images
_BOX = 20  # pixels: MNIST fits its digits into 20×20
# These give strokes MNIST's sharpness: in MNIST a third of the inked pixels are mid-grey (50 … 200); after
# interpolation alone it is almost half.
_THRESHOLD, _GAIN = 0.33, 2.2


def load_digits() -> Dataset:
    """Load all 1,797 digits as one unsplit set in MNIST's form.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as load_bundled  # slow to import
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "train") from error
    bundled = load_bundled()
    images = np.stack([enlarge(image) for image in bundled.images])
    return Dataset(
        name="digits",
        split="all",
        images=images,
        labels=bundled.target.astype(np.int64),
        class_names=DIGIT_NAMES,
        source="the digits bundled with scikit-learn",
    )


def enlarge(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Scale one 8×8 image (0 … 16) to 28×28 (0 … 255): in a 20×20 box, centred by mass as in MNIST."""
    # The margin lets strokes end round at the edge of the box.
    padded = np.pad(image, 1).astype(np.float32) / _FULL_INK
    side = _BOX * len(padded) // len(image)
    smooth = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)
    sharp = np.clip((smooth - _THRESHOLD) * _GAIN, 0, 1)
    return _centred(np.rint(sharp * 255).astype(np.uint8))


def _centred(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = np.nonzero(ink)
    top, left, height, width = rows.min(), columns.min(), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    weights = ink[rows, columns]
    canvas = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    y = _start(np.average(rows, weights=weights) - top, height)
    x = _start(np.average(columns, weights=weights) - left, width)
    canvas[y : y + height, x : x + width] = ink[top : top + height, left : left + width]
    return canvas


def _start(mass: float, length: int) -> int:
    # MNIST's centre of mass was measured at (14, 14); the ink stays inside.
    return int(np.clip(round(IMAGE_SIZE / 2 - mass), 0, IMAGE_SIZE - length))
