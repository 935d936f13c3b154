"""Whatever a caller calls images → uint8 [n, 28, 28] in MNIST's form."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from mnist_cnn.errors import DataError, ImageError
from mnist_cnn.ink import MAX_PIXELS, ImageSource, Prepared, looks_like_mnist, prepare
from mnist_cnn.ink.form import SIZE
from mnist_cnn.recognizer.ahead import map_ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

Images: TypeAlias = "ImageSource | Iterable[ImageSource]"

_CHANNELS = (1, 3, 4)  # of one image [h, w, channels]: grey, RGB, RGBA


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

    Raises:
        DataError: It cannot be read, or has more pixels than that.
    """
    if is_mnist_form(image):
        pixels: NDArray[np.uint8] = np.asarray(image).reshape(SIZE, SIZE)
        return Prepared(pixels, has_ink=True)
    return prepare(image, max_pixels)


def arrange(images: Images, threads: int) -> NDArray[np.uint8]:
    """Bring one image or many into MNIST's form.

    Args:
        images: As described in `Recognizer`.
        threads: That may share the work.

    Returns:
        uint8 [n, 28, 28]; one image gives n = 1.

    Raises:
        DataError: One of them cannot be read; the message names its place.
    """
    if is_mnist_form(images):
        return images.reshape(1, SIZE, SIZE)  # type: ignore[union-attr]
    if isinstance(images, np.ndarray):
        return _arrange_array(np.asarray(images), threads)
    if is_single(images):
        return prepare(cast("ImageSource", images)).image[np.newaxis]
    return _stack(cast("Iterable[ImageSource]", images), threads)


def is_single(images: Any) -> bool:
    """Say whether something is one image and not many; see `Recognizer`."""
    if isinstance(images, np.ndarray):
        return images.ndim < 3 or (images.ndim == 3 and images.shape[2] in _CHANNELS)
    return isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike)) or not isinstance(images, Iterable)


def _arrange_array(array: NDArray[Any], threads: int) -> NDArray[np.uint8]:
    if array.ndim and array.ndim < 3 and array.shape[-1] == SIZE * SIZE:  # as data sets often come, row by row
        array = array.reshape(-1, SIZE, SIZE)
    if is_single(array):
        return prepare(array).image[np.newaxis]
    if array.shape[1:] == (SIZE, SIZE, 1):
        array = array[..., 0]
    pictures = np.flatnonzero(_need_ink(array))
    return _with_ink(array, pictures, threads) if len(pictures) else array


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
