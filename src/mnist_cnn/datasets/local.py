"""The user's own data, by path: IDX files, an `.npz`, tables, or a folder of images with one subfolder per class."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.arrays import as_images, as_labels
from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.datasets.idx import find_idx, read_idx
from mnist_cnn.datasets.image_folder import read_folder
from mnist_cnn.datasets.layout import entries, folders_of
from mnist_cnn.datasets.npz import find_arrays, read_array
from mnist_cnn.datasets.table import describe_unread, find_tables, read_table, read_table_labels
from mnist_cnn.errors import DataError
from mnist_cnn.files import TEST, TRAIN, part_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_IMAGES = re.compile(r"^(?P<set>.*?)-?images[-.]idx3-ubyte(\.gz)?$")


def read_path(path: Path, split: str) -> Dataset:
    """Read one split of the data at `path`; if it has no split, all of it, with `split` "all".

    Args:
        path: A folder of class folders, IDX pairs, tables or an `.npz`; an IDX images file with its labels beside
            it; an `.npz` file; a `.csv` table.
        split: "train" or "test".

    Raises:
        DataError: No data of these kinds, or damaged.
    """
    if path.is_dir():
        return _read_folder(path, split)
    if path.suffix.lower() == ".npz":
        return _read_npz(path, split)
    if path.suffix.lower() == ".csv":
        return _read_tables(path, {"all": path}, split)
    return _read_idx_pair(path, "all", path, _labels_beside(path))


def _read_folder(path: Path, split: str) -> Dataset:
    """Read a folder, or the only folder in it: IDX files come before an `.npz`, tables and images."""
    for folder in folders_of(path):
        if pairs := _idx_images(folder):
            return _read_idx_folder(path, pairs, split)
        arrays = [file for file in entries(folder) if file.suffix.lower() == ".npz" and file.is_file()]
        if len(arrays) == 1:
            return _read_npz(arrays[0], split)
        if tables := find_tables(folder):
            return replace(_read_tables(path, tables, split), notice=describe_unread(folder, tables.values()))
    return read_folder(path, split)


def _read_npz(path: Path, split: str) -> Dataset:
    names = find_arrays(path)
    wanted = names.test if names.test and split == "test" else names.train
    images, labels, known = (read_array(path, name) for name in (*wanted, names.train[1]))
    dataset = _numbered(
        path,
        split if names.test else "all",
        as_images(images, f"{path}, {wanted[0]}"),
        as_labels(labels, f"{path}, {wanted[1]}"),
        as_labels(known, f"{path}, {names.train[1]}"),
    )
    return replace(dataset, notice=names.notice)


def _read_tables(path: Path, tables: Mapping[str, Path], split: str) -> Dataset:
    """Read one part of a data set in tables; its classes are those of the first table."""
    part = split if len(tables) > 1 else "all"
    first = next(iter(tables.values()))
    images, labels = read_table(tables.get(part, first))
    return _numbered(path, part, images, labels, labels if part != "test" else read_table_labels(first))


def _read_idx_folder(path: Path, pairs: Mapping[str, Path], split: str) -> Dataset:
    if len(pairs) == 1:
        (images,) = pairs.values()
        return _read_idx_pair(path, "all", images, _labels_beside(images))
    by_split = {part_of(name.rpartition("-")[2]): file for name, file in pairs.items()}
    if len(pairs) > 2 or set(by_split) != {TRAIN, TEST}:
        raise DataError(
            f"{path} has images of {', '.join(sorted(pairs))}; expected one pair, or one named train and one named "
            "t10k or test. Give the path of one images file."
        )
    return _read_idx_pair(path, split, by_split[split], _labels_beside(by_split[TRAIN]))


def _read_idx_pair(path: Path, split: str, images: Path, known_labels: Path) -> Dataset:
    """Read an images file and the labels beside it; the classes are those in `known_labels`."""
    pixels = as_images(read_idx(images), str(images))
    if images.name.startswith("emnist-"):
        pixels = pixels.swapaxes(1, 2).copy()  # EMNIST's files have rows and columns swapped
    return _numbered(path, split, pixels, _read_labels(_labels_beside(images)), _read_labels(known_labels))


def _read_labels(path: Path) -> NDArray[np.int64]:
    labels = read_idx(path)
    # QMNIST's labels are a table whose first column is the class.
    return as_labels(labels[:, 0] if labels.ndim == 2 and labels.shape[1] else labels, str(path))


def _labels_beside(images: Path) -> Path:
    if "images" not in images.name:
        raise DataError(
            f"{images} is not a data set. Give a folder with one subfolder of images per class, an IDX file such as "
            "train-images-idx3-ubyte, an .npz file, or a .csv table. Unpack an archive first."
        )
    stem = images.name.removesuffix(".gz").replace("images", "labels").replace(".idx", "-idx")
    folders = [images.parent, images.parent.parent] if _IMAGES.match(images.parent.name) else [images.parent]
    for folder, kind in itertools.product(folders, ("idx1-ubyte", "idx2-int")):
        found = find_idx(folder, stem.replace("idx3-ubyte", kind))
        if found and found != images:
            return found
    expected = stem.replace("idx3-ubyte", "idx1-ubyte")
    raise DataError(f"{images} has no labels beside it. Put {expected} into the same folder.")


def _idx_images(folder: Path) -> dict[str, Path]:
    """Find the IDX images files of a folder, by the name of their set ("train", "t10k", "").

    Some archives unpack each file into a folder with its name, and some people keep one folder per part.
    """
    found: dict[str, Path] = {}
    for entry in reversed(entries(folder)):  # a plain file wins over its .gz, and a file over a folder
        if match := _IMAGES.match(entry.name):
            file = find_idx(folder, entry.name)
            found |= {match["set"]: file} if file else {}
        elif entry.is_dir() and (part := part_of(entry.name)):
            inner = [file for file in entries(entry) if _IMAGES.match(file.name) and file.is_file()]
            found |= {part: inner[0]} if inner else {}
    return found


def _numbered(
    path: Path, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64], known: NDArray[np.int64]
) -> Dataset:
    """Make a data set of numbered classes: those in `known`, the labels of the training images.

    Raises:
        DataError: Most numbers up to the highest label do not occur, or a label is not in `known`.
    """
    classes = np.unique(known)
    highest = int(classes.max(initial=0))
    if highest >= len(DIGIT_NAMES) and len(classes) <= highest // 2:  # a slip of the pen, not a class
        raise DataError(
            f"{path}: label {highest} (image {int(known.argmax())}) is out of range: there are only {len(classes)} "
            f"different labels, so valid are 0 to {len(classes) - 1}. Correct it, or number the classes without gaps."
        )
    unknown = labels[~np.isin(labels, classes)]
    if unknown.size:
        raise DataError(
            f"{path}: label {unknown[0]} of the {split} images is not a class of the training images, whose labels "
            f"are {', '.join(map(str, classes))}. Correct it, or add images of that class to them."
        )
    name = path.stem if path.is_file() else path.name
    names = tuple(str(label) for label in classes)
    return Dataset(name, split, images, np.searchsorted(classes, labels), names, str(path))
