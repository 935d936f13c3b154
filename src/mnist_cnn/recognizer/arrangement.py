"""Whatever a caller calls images → uint8 [n, 28, 28] in MNIST's form."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mnist_cnn.errors import DataError
from mnist_cnn.ink import ImageSource, Prepared, looks_like_mnist, prepare
from mnist_cnn.ink.form import SIZE
from mnist_cnn.recognizer.ahead import map_ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

Images: TypeAlias = "ImageSource | Iterable[ImageSource]"


def is_mnist_form(image: Any) -> bool:
    """Say whether an image can go to the network as it is: uint8 [28, 28] or [28, 28, 1] that looks like MNIST's."""
    return (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and (image.ndim == 2 or image.shape[2:] == (1,))
        and looks_like_mnist(image)
    )


def arrange_one(image: ImageSource) -> Prepared:
    """Bring one image into MNIST's form, if it is not in it already.

    Raises:
        DataError: It cannot be read.
    """
    if is_mnist_form(image):
        pixels: NDArray[np.uint8] = np.asarray(image).reshape(SIZE, SIZE)
        return Prepared(pixels, has_ink=True)
    return prepare(image)


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
        return _arrange_array(images, threads)
    if isinstance(images, (str, bytes, os.PathLike)) or not isinstance(images, Iterable):
        return prepare(images).image[np.newaxis]
    return _stack(images, threads)


def _arrange_array(array: NDArray[Any], threads: int) -> NDArray[np.uint8]:
    if array.ndim == 4 and array.shape[1:] == (SIZE, SIZE, 1):
        array = array[..., 0]
    if array.ndim == 4 or (array.ndim == 3 and array.shape[1:] == (SIZE, SIZE)):
        pictures = np.flatnonzero(_need_ink(array))
        return _with_ink(array, pictures, threads) if len(pictures) else array
    return prepare(array).image[np.newaxis]


def _need_ink(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the images of a batch that are not in MNIST's form. Bool [n]."""
    if array.dtype != np.uint8 or array.ndim != 3:
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
            raise DataError(f"image {place} of the batch: {error}") from error
