"""NumPy's `.npz` files, as Keras keeps MNIST: several named arrays in one zip archive."""

from __future__ import annotations

import math
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.datasets.dataset import IMAGE_SIZE
from mnist_cnn.datasets.idx import MAX_BYTES
from mnist_cnn.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_UNSPLIT = (("x", "y"), ("X", "y"), ("images", "labels"))
_SPLIT = (  # (images, labels) of train and test: Keras, scikit-learn's habit, MedMNIST, another of Kaggle's
    (("x_train", "y_train"), ("x_test", "y_test")),
    (("X_train", "y_train"), ("X_test", "y_test")),
    (("train_images", "train_labels"), ("test_images", "test_labels")),
    (("training_images", "training_labels"), ("test_images", "test_labels")),
)
_TRAIN_ALONE = tuple(dict.fromkeys(train for train, _ in _SPLIT))  # without a test set, whole or in part


def npz_has_split(path: Path) -> bool:
    """Whether the file has a test set of its own (`x_train`, `y_train`, `x_test`, `y_test`).

    Raises:
        DataError: No `.npz` file, or none of the namings known here.
    """
    train, test = _names(path)
    return train != test


def describe_train_alone(path: Path) -> str:
    """Say what is read where the names tell of a training set, but there is no test set; empty for any other file.

    Raises:
        DataError: No `.npz` file, or none of the namings known here.
    """
    train, test = _names(path)
    if train != test or train not in _TRAIN_ALONE:
        return ""
    others = ", ".join(sorted(_keys(path).difference(train)))
    unread = f" (not read: {others})" if others else ""
    return (
        f"{path} holds {' and '.join(train)}, but no test set{unread}: a fixed fifth of the images is held out as one"
    )


def read_npz(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one split's images and labels; the other split's arrays stay unread, and nothing is unpickled.

    Args:
        path: The file.
        split: "train" or "test"; without meaning where the file holds one unsplit set.

    Returns:
        Images, uint8 [n, 28, 28], and labels, int64 [n].

    Raises:
        DataError: No `.npz` file, arrays missing, or their values are not grey images with integer labels.
    """
    images, _ = _names(path)[split == "test"]
    return as_images(read_array(path, images), f"{path}, {images}"), read_npz_labels(path, split)


def read_npz_labels(path: Path, split: str) -> NDArray[np.int64]:
    """Read one split's labels alone, int64 [n].

    Raises:
        DataError: As for `read_npz`.
    """
    _, labels = _names(path)[split == "test"]
    return as_labels(read_array(path, labels), f"{path}, {labels}")


def read_array(path: Path, key: str) -> NDArray[Any]:
    """Read one array of an `.npz` file.

    Raises:
        DataError: Damaged, larger than `idx.MAX_BYTES`, or of Python objects (which only pickle could load).
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
            _check_size(member, archive.getinfo(f"{key}.npy").file_size)
            member.seek(0)
            return np.lib.format.read_array(member, allow_pickle=False)
    except Exception as error:
        # A hostile file reaches zipfile, zlib, lzma, ast and tokenize; whatever they raise means the same.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: {key} cannot be read ({reason}). Save it again with numpy.savez.") from error


def as_images(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Bring [n, 28, 28], [n, 28, 28, 1] or [n, 784] numbers from 0 to 255 to uint8 [n, 28, 28].

    Raises:
        DataError: Another shape, or values that 0 … 255 in whole steps cannot hold.
    """
    if array.ndim < 2 or array.shape[1:] not in {
        (IMAGE_SIZE, IMAGE_SIZE),
        (IMAGE_SIZE, IMAGE_SIZE, 1),
        (IMAGE_SIZE * IMAGE_SIZE,),
    }:
        raise DataError(f"{where}: images have shape {array.shape}, expected (n, 28, 28).")
    pixels = _whole_numbers(array, 0, 255, f"{where}: pixels", "Multiply by 255.")
    if array.size and array.max() == 1:
        raise DataError(f"{where}: pixels range from 0 to 1, expected 0 to 255. Multiply by 255.")
    return pixels.astype(np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)


def as_labels(array: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Bring [n] or [n, 1] whole numbers from 0 to be int64 [n].

    Raises:
        DataError: Another shape (such as one-hot), or values that are not class numbers.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        one_hot = " Save numpy.argmax(labels, axis=1) if they are one-hot." if array.ndim == 2 else ""
        raise DataError(f"{where}: labels have shape {array.shape}, expected (n,) class numbers.{one_hot}")
    return _whole_numbers(array, 0, 65535, f"{where}: labels", "Number the classes from 0.").astype(np.int64)


def _whole_numbers(array: NDArray[Any], low: int, high: int, what: str, remedy: str) -> NDArray[Any]:
    if array.dtype.kind not in "uif":
        raise DataError(f"{what} are of type {array.dtype}, expected whole numbers from {low} to {high}. {remedy}")
    if array.size and not (array.min() >= low and array.max() <= high):  # not <, so that NaN is refused
        raise DataError(f"{what} range from {array.min()} to {array.max()}, expected {low} to {high}. {remedy}")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise DataError(f"{what} are fractions, expected whole numbers from {low} to {high}. {remedy}")
    return array


def _names(path: Path) -> tuple[tuple[str, str], tuple[str, str]]:
    """Give what the images and labels of train and of test are called; the same twice where there is no split.

    Raises:
        DataError: No `.npz` file, or none of the namings known here.
    """
    keys = _keys(path)
    for train, test in (*_SPLIT, *((pair, pair) for pair in (*_UNSPLIT, *_TRAIN_ALONE))):
        if {*train, *test} <= keys:
            return train, test
    raise DataError(
        f"{path} holds {', '.join(sorted(keys)) or 'no arrays'}; expected x_train and y_train, if need be with x_test "
        "and y_test, or x and y, or images and labels."
    )


def _keys(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # zipfile lets struct, Unicode and index errors of hostile files through
        raise DataError(f"{path} is not an .npz file ({error}). Save it again with numpy.savez.") from error


def _check_size(member: IO[bytes], size: int) -> None:
    # read_array allocates what the header claims before it reads, so the claim is checked first.
    version = np.lib.format.read_magic(member)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(member)
    declared = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded")
    if declared > MAX_BYTES or declared != size - member.tell():
        raise ValueError(f"its header declares {declared:,} bytes, the file {size - member.tell():,}")
