"""Arrays of numbers from third-party files, checked and converted to the form of a `Dataset`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.errors import DataError
from mnist_cnn.reading.conventions import IMAGE_SHAPES, IMAGE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_images(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Convert whole numbers from 0 to 255, [n, *shape] with a shape of `IMAGE_SHAPES`, to uint8 [n, 28, 28].

    Raises:
        DataError: Another shape, or other values.
    """
    if array.shape[1:] not in IMAGE_SHAPES:
        raise DataError(f"{where}: images have shape {array.shape}, expected (n, 28, 28).")
    is_share = array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1
    remedy = "Multiply by 255." if is_share else "Scale them to that range and round them."
    pixels = _whole_numbers(array, 255, f"{where}: pixels", remedy)
    if array.size and array.max() == 1:
        raise DataError(f"{where}: pixels range from 0 to 1, expected 0 to 255. Multiply by 255.")
    return pixels.astype(np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)


def as_labels(array: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Convert class numbers from 0, [n] or [n, 1], to int64 [n].

    Raises:
        DataError: Another shape (such as one-hot), or values that are not class numbers.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        one_hot = " Save numpy.argmax(labels, axis=1) if they are one-hot." if array.ndim == 2 else ""
        raise DataError(f"{where}: labels have shape {array.shape}, expected (n,) class numbers.{one_hot}")
    return _whole_numbers(array, 65535, f"{where}: labels", "Number the classes from 0.").astype(np.int64)


def _whole_numbers(array: NDArray[Any], high: int, what: str, remedy: str) -> NDArray[Any]:
    expected = f"expected whole numbers from 0 to {high}. {remedy}"
    if array.dtype.kind not in "uif":
        raise DataError(f"{what} are of type {array.dtype}, {expected}")
    if array.size and not (array.min() >= 0 and array.max() <= high):  # not <, so that NaN is refused
        raise DataError(f"{what} range from {array.min()} to {array.max()}, {expected}")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise DataError(f"{what} are fractions, {expected}")
    return array
