"""Convert everything that callers pass as images to uint8 [n, 28, 28] in MNIST's form.

Only type and shape decide what is one image and what is many:

- **One**: a path, bytes, an open file, a Pillow image, or an array [h, w] or [h, w, c] of 1 to 4 channels: grey, grey
  and alpha, RGB, RGBA. An array [784] is one row of 28×28 pixels.
- **Many**: a list or a tuple of single images of any kind, or an array [n, h, w] or [n, h, w, c]. `read_many` also
  accepts iterators of single images.
- Anything else is refused, even if it is iterable: mappings, tables, sets, generators.

So an array [n, 784] is one image, 784 pixels wide. If its rows look like digits, it is refused with the advice to
reshape it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from PIL import Image

from mnist_cnn.errors import DataError, ImageError
from mnist_cnn.reading.conventions import IMAGE_SHAPES, IMAGE_SIZE
from mnist_cnn.reading.ink import MAX_PIXELS, ImageSource, Prepared, looks_like_mnist, prepare
from mnist_cnn.reading.ink.sources import CHANNELS, VALID, is_open_file
from mnist_cnn.reading.recognizer.ahead import map_ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

Images: TypeAlias = "ImageSource | Sequence[ImageSource]"

_SINGLE = (str, bytes, bytearray, memoryview, os.PathLike)
_PICTURE, _WITH_CHANNEL, _ROW = (IMAGE_SIZE, IMAGE_SIZE), IMAGE_SHAPES[0], IMAGE_SIZE**2
_ROWS = 16  # of an array [n, 784] that are examined


def is_mnist_form(image: Any) -> bool:
    """Return whether an image needs no preparation: uint8 [28, 28] or [28, 28, 1] that looks like MNIST's."""
    return (
        type(image) is np.ndarray
        and image.dtype == np.uint8
        and (image.ndim == 2 or image.shape[2:] == (1,))
        and looks_like_mnist(image)
    )


def arrange_one(image: ImageSource, max_pixels: int = MAX_PIXELS) -> Prepared:
    """Convert one image to MNIST's form, if necessary.

    Args:
        image: As defined in this module.
        max_pixels: Height times width.

    Raises:
        ImageError: It is not one image, cannot be read, or has more pixels than that.
    """
    if isinstance(image, np.ndarray):
        if image.shape == (_ROW,):
            image = np.asarray(image).reshape(_PICTURE)
        _refuse_rows(image)
    if is_mnist_form(image):
        return Prepared(np.asarray(image).reshape(_PICTURE), has_ink=True)
    return prepare(image, max_pixels)


def arrange(images: Images, threads: int) -> NDArray[np.uint8]:
    """Convert one image or many to MNIST's form.

    Args:
        images: As defined in this module.
        threads: Number of threads that share the work.

    Returns:
        uint8 [n, 28, 28]; n = 1 for one image.

    Raises:
        ImageError: They are neither one image nor many, or one cannot be read; the message gives its index.
    """
    if is_single(images):
        return arrange_one(cast("ImageSource", images)).image[np.newaxis]
    if isinstance(images, np.ndarray):
        return _arrange_array(np.asarray(images), threads)
    if isinstance(images, (list, tuple)):
        return _stack(images, threads)
    raise _neither(images)


def is_single(images: Any) -> bool:
    """Return whether something is one image, as defined in this module."""
    if isinstance(images, np.ndarray):
        return images.ndim < 3 or (images.ndim == 3 and images.shape[2] in CHANNELS)
    return isinstance(images, (*_SINGLE, Image.Image)) or is_open_file(images)


def check_stream(images: Any) -> None:
    """Refuse what `read_many` cannot read one by one. It accepts lists, tuples, arrays of many, and iterators.

    Raises:
        ImageError: It is one image, an array [n, 784] of digits, or neither one image nor many.
    """
    if isinstance(images, np.ndarray):
        _refuse_rows(images)
    if is_single(images):
        raise ImageError("read_many takes many images, and this is one. Use read, or put it into a list.")
    if not isinstance(images, (list, tuple, np.ndarray, Iterator)):
        raise _neither(images)


def _neither(images: Any) -> ImageError:
    return ImageError(
        f"{type(images).__name__} is neither one image nor many. {VALID} Many images: a list, a tuple or an array "
        "[n, h, w]; only read_many takes iterators. Convert tables and tensors with "
        "numpy.asarray(images).reshape(-1, 28, 28)."
    )


def _arrange_array(array: NDArray[Any], threads: int) -> NDArray[np.uint8]:
    if array.shape[1:] == _WITH_CHANNEL:
        array = array[..., 0]
    if array.dtype != np.uint8 or array.shape[1:] != _PICTURE:
        return _stack(array, threads)
    others = np.array([not looks_like_mnist(image) for image in array], np.bool_)
    if not others.any():
        return array
    arranged = array.copy()
    arranged[others] = _stack(array[others], threads)
    return arranged


def _refuse_rows(array: NDArray[Any]) -> None:
    """Refuse [n, 784] if each row is a digit: as one image, it would give one meaningless answer.

    A row of a real image never looks like a digit: ink of 19 to 21 pixels in height or width, in the middle of 28×28.

    Raises:
        ImageError: The rows are digits.
    """
    if array.ndim != 2 or array.shape[1] != _ROW or array.dtype.kind not in "buif" or not len(array):
        return
    rows = np.nan_to_num(array[:_ROWS].astype(np.float32)).reshape(-1, *_PICTURE)
    rows *= 255 / max(float(rows.max()), 1e-9)
    if np.mean([looks_like_mnist(row) for row in rows.clip(0, 255).astype(np.uint8)]) > 0.5:
        raise ImageError(
            f"an array {array.shape} is one image of {array.shape[0]}×{_ROW} pixels, but its rows look like "
            "digits. Give an array [n, 28, 28]: images.reshape(-1, 28, 28)"
        )


def _stack(images: Iterable[ImageSource], threads: int) -> NDArray[np.uint8]:
    arranged: list[NDArray[np.uint8]] = []
    results = map_ahead(arrange_one, images, threads)
    try:
        arranged.extend(each.image for each in results)
    except DataError as error:
        raise ImageError(f"image {len(arranged) + 1} of the batch: {error}") from error
    return np.stack(arranged) if arranged else np.empty((0, *_PICTURE), np.uint8)
