"""NumPy's `.npz` files, as Keras keeps MNIST: several named arrays in one zip archive."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True)
class ArrayNames:
    """What the images and the labels in a file are called."""

    train: tuple[str, str]  # also of a set without a split
    test: tuple[str, str] | None
    notice: str = ""  # what is not read, if the test set is missing or incomplete


def find_arrays(path: Path) -> ArrayNames:
    """Find the images and labels of an `.npz` file by their names.

    Raises:
        DataError: Not an `.npz` file, or no known names in it.
    """
    keys = _keys(path)
    for train, test in _SPLIT:
        if {*train, *test} <= keys:
            return ArrayNames(train, test)
    for pair in _UNSPLIT:
        if keys.issuperset(pair):
            return ArrayNames(pair, None)
    for train, _ in _SPLIT:
        if keys.issuperset(train):
            notice = f"{path} has only {', '.join(sorted(keys))}: a fixed fifth of {train[0]} is the test set"
            return ArrayNames(train, None, notice)
    raise DataError(
        f"{path} contains {', '.join(sorted(keys)) or 'no arrays'}; expected x_train and y_train, optionally with "
        "x_test and y_test, or x and y, or images and labels."
    )


def read_array(path: Path, key: str) -> NDArray[Any]:
    """Read one array of an `.npz` file; nothing is unpickled.

    Raises:
        DataError: Damaged, larger than `idx.MAX_BYTES`, or of Python objects (which only pickle could load).
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
            _check_size(member, archive.getinfo(f"{key}.npy").file_size)
            member.seek(0)
            return np.lib.format.read_array(member, allow_pickle=False)
    except Exception as error:
        # A hostile file reaches zipfile, zlib, lzma, ast and tokenize, which raise errors of many kinds.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: {key} cannot be read ({reason}). Save it again with numpy.savez.") from error


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
        raise ValueError("it contains Python objects, which are never loaded")
    if declared > MAX_BYTES or declared != size - member.tell():
        raise ValueError(f"its header declares {declared:,} bytes, the file has {size - member.tell():,}")
