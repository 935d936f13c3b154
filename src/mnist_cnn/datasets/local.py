"""The user's own data, by path: IDX files, an `.npz`, tables, or a folder of images with one sub-folder per class."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.datasets.image_folder import read_folder
from mnist_cnn.datasets.layout import entries, folders_of
from mnist_cnn.datasets.npz import as_images, as_labels, describe_train_alone, npz_has_split, read_npz, read_npz_labels
from mnist_cnn.datasets.places import find_idx
from mnist_cnn.datasets.table import describe_unread, find_tables, read_table, read_table_labels
from mnist_cnn.errors import DataError
from mnist_cnn.files import TEST, TRAIN, part_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_IMAGES = re.compile(r"^(?P<set>.*?)-?images[-.]idx3-ubyte(\.gz)?$")


def read_path(path: Path, split: str) -> Dataset:
    """Read one split of the data at `path`; where it has no split, all of it, with `split` "all".

    Args:
        path: A folder of class folders, IDX pairs, tables or an `.npz`; an IDX images file with its labels beside
            it; an `.npz` file; a `.csv` table.
        split: "train" or "test".

    Raises:
        DataError: Nothing of that kind, or damaged.
    """
    if path.is_dir():
        return _read_folder(path, split)
    if path.suffix.lower() == ".npz":
        return _read_npz(path, split)
    if path.suffix.lower() == ".csv":
        return _read_tables(path, {"all": path}, split)
    return _read_idx_pair(path, "all", path, _labels_beside(path))


def _read_folder(path: Path, split: str) -> Dataset:
    """Read what lies in a folder, or in the one that it holds alone: IDX files before an `.npz`, tables and images."""
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
    images, labels = read_npz(path, split)
    has_split = npz_has_split(path)
    known = read_npz_labels(path, "train") if has_split and split == "test" else labels
    dataset = _numbered(path, split if has_split else "all", images, labels, known)
    return replace(dataset, notice=describe_train_alone(path))


def _read_tables(path: Path, tables: Mapping[str, Path], split: str) -> Dataset:
    """Read one part of a data set in tables, whose classes are those of the first of them."""
    part = split if len(tables) > 1 else "all"
    images, labels = read_table(tables[part] if part in tables else next(iter(tables.values())))
    known = labels if part != "test" else read_table_labels(next(iter(tables.values())))
    return _numbered(path, part, images, labels, known)


def _read_idx_folder(path: Path, pairs: Mapping[str, Path], split: str) -> Dataset:
    if len(pairs) == 1:
        (images,) = pairs.values()
        return _read_idx_pair(path, "all", images, _labels_beside(images))
    by_split = {part_of(name.rpartition("-")[2]): file for name, file in pairs.items()}
    if len(pairs) > 2 or set(by_split) != {TRAIN, TEST}:
        raise DataError(
            f"{path} holds images of {', '.join(sorted(pairs))}; expected one pair, or one of train and one "
            "of t10k or test. Give the path of one images file."
        )
    images = by_split[split]
    return _read_idx_pair(path, split, images, _labels_beside(by_split[TRAIN]))


def _read_idx_pair(path: Path, split: str, images: Path, known_labels: Path) -> Dataset:
    """Read an images file and the labels beside it; `known_labels` tells how many classes there are."""
    pixels = as_images(read_idx(images), str(images))
    if images.name.startswith("emnist-"):
        pixels = pixels.swapaxes(1, 2).copy()  # EMNIST's files hold rows and columns swapped
    labels = _read_labels(_labels_beside(images))
    return _numbered(path, split, pixels, labels, _read_labels(known_labels))


def _read_labels(path: Path) -> NDArray[np.int64]:
    labels = read_idx(path)
    # QMNIST's labels are a table: the class, then who wrote it and where.
    return as_labels(labels[:, 0] if labels.ndim == 2 and labels.shape[1] else labels, str(path))


def _labels_beside(images: Path) -> Path:
    if "images" not in images.name:
        raise DataError(
            f"{images} is not a data set. Give a folder with one sub-folder of images per class, an IDX file such as "
            "train-images-idx3-ubyte, an .npz file, or a .csv table. Unpack an archive first."
        )
    stem = images.name.removesuffix(".gz").replace("images", "labels").replace(".idx", "-idx")
    folders = [images.parent, images.parent.parent] if _IMAGES.match(images.parent.name) else [images.parent]
    for folder, kind in itertools.product(folders, ("idx1-ubyte", "idx2-int")):
        found = find_idx(folder, stem.replace("idx3-ubyte", kind))
        if found and found != images:
            return found
    raise DataError(
        f"{images} has no labels beside it: expected {stem.replace('idx3-ubyte', 'idx1-ubyte')} in the same "
        "folder. Data are read from IDX files, .npz files, .csv tables and folders of images."
    )


def _idx_images(folder: Path) -> dict[str, Path]:
    """Find the IDX images files of a folder, by the name of their set ("train", "t10k", "").

    Archives unpack each file into a folder of its own name, and some people keep one folder for each part.
    """
    found: dict[str, Path] = {}
    for entry in reversed(entries(folder)):  # of a plain and a .gz file the plain one counts, of a file and a folder
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
    """Make a data set of numbered classes: those that occur among the known labels, which are the training images'.

    Raises:
        DataError: Most numbers up to the highest label do not occur, or a label is not among the known ones.
    """
    classes = np.unique(known)
    _refuse_outlying_label(known, path)
    unknown = labels[~np.isin(labels, classes)]
    if unknown.size:
        raise DataError(
            f"{path}: label {unknown[0]} of the {split} images is not a class of the training images, whose labels "
            f"are {', '.join(map(str, classes))}. Correct it, or add images of that class to them."
        )
    names = tuple(str(label) for label in classes)
    return Dataset(path.stem if path.is_file() else path.name, split, images, np.searchsorted(classes, labels), names,
                   str(path))  # fmt: skip


def _refuse_outlying_label(labels: NDArray[np.int64], path: Path) -> None:
    """Refuse a label far above all others: it is a slip of the pen, not a class."""
    highest, kinds = int(labels.max(initial=0)), len(np.unique(labels))
    if highest >= len(DIGIT_NAMES) and kinds <= highest // 2:
        raise DataError(
            f"{path}: label {highest} (image {int(labels.argmax())}) is out of range: only {kinds} different labels "
            f"occur, so 0 to {kinds - 1} would be valid. Correct it, or number the classes without gaps."
        )
