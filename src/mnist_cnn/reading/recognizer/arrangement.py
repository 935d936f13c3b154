"""Whatever a caller calls images → uint8 [n, 28, 28] in MNIST's form.

What is one image and what is many, decided by type and shape alone:

- **One**: a path, bytes, an open file, a Pillow image, or an array [h, w] or [h, w, c] of 1 to 4 channels: grey, grey
  and alpha, RGB, RGBA. An array [784] is one row of 28×28 pixels.
- **Many**: a list or a tuple of single images, which need not be alike, or an array [n, h, w] or [n, h, w, c].
  `read_many` takes iterators of single images too.
- Everything else is refused, also what could be iterated over: mappings, tables, sets, generators.

So an array [n, 784] is one picture, 784 pixels wide; where its rows look like digits, it is refused with the advice to
reshape it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from PIL import Image

from mnist_cnn.errors import DataError, ImageError
from mnist_cnn.reading.ink import MAX_PIXELS, ImageSource, Prepared, looks_like_mnist, prepare
from mnist_cnn.reading.ink.form import SIZE
from mnist_cnn.reading.ink.sources import CHANNELS, VALID, is_open_file
from mnist_cnn.reading.recognizer.ahead import map_ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

Images: TypeAlias = "ImageSource | Sequence[ImageSource]"

_SINGLE = (str, bytes, bytearray, memoryview, os.PathLike)
_ROWS = 16  # of an array [n, 784] that are looked at


def is_mnist_form(image: Any) -> bool:
    """Say whether an image can go to the network as it is: uint8 [28, 28] or [28, 28, 1] that looks like MNIST's."""
    return (
        type(image) is np.ndarray
        and image.dtype == np.uint8
        and (image.ndim == 2 or image.shape[2:] == (1,))
        and looks_like_mnist(image)
    )


def arrange_one(image: ImageSource, max_pixels: int = MAX_PIXELS) -> Prepared:
    """Bring one image into MNIST's form, if it is not in it already.

    Args:
        image: As this module describes.
        max_pixels: Height times width.

    Raises:
        DataError: It is not one image, cannot be read, or has more pixels than that.
    """
    if isinstance(image, np.ndarray):
        if image.shape == (SIZE * SIZE,):
            image = np.asarray(image).reshape(SIZE, SIZE)
        _refuse_rows(image)
    if is_mnist_form(image):
        pixels: NDArray[np.uint8] = np.asarray(image).reshape(SIZE, SIZE)
        return Prepared(pixels, has_ink=True)
    return prepare(image, max_pixels)


def arrange(images: Images, threads: int) -> NDArray[np.uint8]:
    """Bring one image or many into MNIST's form.

    Args:
        images: As this module describes.
        threads: That may share the work.

    Returns:
        uint8 [n, 28, 28]; one image gives n = 1.

    Raises:
        DataError: They are neither one image nor many, or one of them cannot be read; the message names its place.
    """
    if is_single(images):
        return arrange_one(cast("ImageSource", images)).image[np.newaxis]
    if isinstance(images, np.ndarray):
        return _arrange_array(np.asarray(images), threads)
    if isinstance(images, (list, tuple)):
        return _stack(images, threads)
    raise ImageError(f"{_named(images)} is neither one image nor many. {_advice(images)}")


def is_single(images: Any) -> bool:
    """Say whether something is one image, as this module describes."""
    if isinstance(images, np.ndarray):
        return images.ndim < 3 or (images.ndim == 3 and images.shape[2] in CHANNELS)
    return isinstance(images, (*_SINGLE, Image.Image)) or is_open_file(images)


def check_stream(images: Any) -> None:
    """Refuse what `read_many` cannot take one by one: it takes iterators besides lists, tuples and arrays of many.

    Raises:
        ImageError: It is one image, or an array [n, 784] of digits.
        ImageError: It is neither one image nor many.
    """
    if isinstance(images, np.ndarray):
        _refuse_rows(images)
    if is_single(images):
        raise ImageError("read_many takes many images, and this is one. Use read, or put it into a list.")
    if not isinstance(images, (list, tuple, np.ndarray, Iterator)):
        raise ImageError(f"{_named(images)} is neither one image nor many. {_advice(images)}")


def _named(images: Any) -> str:
    name = type(images).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _advice(images: Any) -> str:
    """Say what to pass instead of something that is refused."""
    if isinstance(images, Mapping):
        return "Give its images as a list: list(images.values())"
    if hasattr(images, "columns") and hasattr(images, "to_numpy"):  # pandas, polars and their like
        return "Give its pixels as an array [n, 28, 28]: images.to_numpy().reshape(-1, 28, 28)"
    if hasattr(images, "__array__") or hasattr(images, "__dlpack__"):
        return "Give an array: numpy.asarray(images)"
    if isinstance(images, Iterator):
        return "Give a list: list(images). One by one, read_many takes them."
    if isinstance(images, Iterable):
        return "Give a list, in the order in which the answers are wanted."
    return f"{VALID} Many images are a list, a tuple or an array [n, h, w] of them."


def _arrange_array(array: NDArray[Any], threads: int) -> NDArray[np.uint8]:
    if array.shape[1:] == (SIZE, SIZE, 1):
        array = array[..., 0]
    pictures = np.flatnonzero(_need_ink(array))
    return _with_ink(array, pictures, threads) if len(pictures) else array


def _refuse_rows(array: NDArray[Any]) -> None:
    """Refuse [n, 784] where each row is a digit of its own: read as one picture, it would give one senseless answer.

    A line of a picture never looks like a digit: ink of 19 to 21 pixels in height or width, in the middle of 28×28.

    Raises:
        DataError: The rows are digits.
    """
    if array.ndim != 2 or array.shape[1] != SIZE * SIZE or array.dtype.kind not in "buif" or not len(array):
        return
    rows = np.nan_to_num(array[:_ROWS].astype(np.float32)).reshape(-1, SIZE, SIZE)
    rows *= 255 / max(float(rows.max()), 1e-9)
    if np.mean([looks_like_mnist(row) for row in rows.clip(0, 255).astype(np.uint8)]) > 0.5:
        raise ImageError(
            f"an array {array.shape} is one picture of {array.shape[0]}×{SIZE * SIZE} pixels, but its rows look like "
            "digits. Give an array [n, 28, 28]: images.reshape(-1, 28, 28)"
        )


def _need_ink(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the images of a batch that are not in MNIST's form. Bool [n]."""
    if array.dtype != np.uint8 or array.shape[1:] != (SIZE, SIZE):
        return np.ones(len(array), np.bool_)
    return np.array([not looks_like_mnist(image) for image in array], np.bool_)


def _with_ink(array: NDArray[Any], pictures: NDArray[np.intp], threads: int) -> NDArray[np.uint8]:
    if len(pictures) == len(array):
        return _stack(array, threads)
    arranged = array.copy()
    arranged[pictures] = _stack(array[pictures], threads)
    return arranged


def _stack(images: Iterable[ImageSource], threads: int) -> NDArray[np.uint8]:
    arranged = list(_arranged(images, threads))
    return np.stack(arranged) if arranged else np.empty((0, SIZE, SIZE), np.uint8)


def _arranged(images: Iterable[ImageSource], threads: int) -> Iterator[NDArray[np.uint8]]:
    results = map_ahead(arrange_one, images, threads)
    for place in itertools.count():
        try:
            yield next(results).image
        except StopIteration:
            return
        except DataError as error:
            raise ImageError(f"image {place} of the batch: {error}") from error
