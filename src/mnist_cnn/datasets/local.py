"""The user's own data, by path: IDX files, an `.npz`, or a folder of images with one sub-folder per class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.datasets.folder import read_folder
from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.datasets.npz import as_images, as_labels, npz_has_split, read_array, read_npz
from mnist_cnn.datasets.places import find_idx
from mnist_cnn.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_IMAGES = re.compile(r"^(?P<set>.*?)-?images[-.]idx3-ubyte(\.gz)?$")
_SPLIT_OF = {"train": "train", "t10k": "test", "test": "test"}


def read_path(path: Path, split: str) -> Dataset:
    """Read one split of the data at `path`; where it has no split, all of it, with `split` "all".

    Args:
        path: A folder of class folders, a folder with one or two IDX pairs, an IDX images file with its
            labels beside it, or an `.npz` file.
        split: "train" or "test".

    Raises:
        DataError: Nothing of that kind, or damaged.
    """
    if path.is_dir():
        return _read_idx_folder(path, split) if _idx_images(path) else read_folder(path, split)
    if path.suffix == ".npz":
        return _read_npz(path, split)
    return _read_idx_pair(path, "all", path, _labels_beside(path))


def _read_npz(path: Path, split: str) -> Dataset:
    images, labels = read_npz(path, split)
    has_split = npz_has_split(path)
    known = as_labels(read_array(path, "y_train"), f"{path}, y_train") if has_split and split == "test" else labels
    return Dataset(path.stem, split if has_split else "all", images, labels, _class_names(known, path), str(path))


def _read_idx_folder(path: Path, split: str) -> Dataset:
    pairs = _idx_images(path)
    if len(pairs) == 1:
        (images,) = pairs.values()
        return _read_idx_pair(path, "all", images, _labels_beside(images))
    by_split = {_SPLIT_OF.get(name.rpartition("-")[2]): file for name, file in pairs.items()}
    if len(pairs) > 2 or set(by_split) != {"train", "test"}:
        raise DataError(
            f"{path} holds images of {', '.join(sorted(pairs))}; expected one pair, or one of train and one "
            "of t10k or test. Give the path of one images file."
        )
    images = by_split[split]
    return _read_idx_pair(path, split, images, _labels_beside(by_split["train"]))


def _read_idx_pair(path: Path, split: str, images: Path, known_labels: Path) -> Dataset:
    """Read an images file and the labels beside it; `known_labels` tells how many classes there are."""
    pixels = as_images(read_idx(images), str(images))
    if images.name.startswith("emnist-"):
        pixels = pixels.swapaxes(1, 2).copy()  # EMNIST's files hold rows and columns swapped
    labels = _labels_beside(images)
    class_names = _class_names(_read_labels(known_labels), known_labels)
    return Dataset(path.name, split, pixels, _read_labels(labels), class_names, str(path))


def _read_labels(path: Path) -> NDArray[np.int64]:
    labels = read_idx(path)
    # QMNIST's labels are a table: the class, then who wrote it and where.
    return as_labels(labels[:, 0] if labels.ndim == 2 and labels.shape[1] else labels, str(path))


def _labels_beside(images: Path) -> Path:
    if "images" not in images.name:
        raise DataError(
            f"{images} is no data set. Give a folder with one sub-folder of images per class, an IDX file such as "
            "train-images-idx3-ubyte, or an .npz file."
        )
    stem = images.name.removesuffix(".gz").replace("images", "labels").replace(".idx", "-idx")
    for kind in ("idx1-ubyte", "idx2-int"):
        found = find_idx(images.parent, stem.replace("idx3-ubyte", kind))
        if found and found != images:
            return found
    raise DataError(
        f"{images} has no labels beside it: expected {stem.replace('idx3-ubyte', 'idx1-ubyte')} in the same "
        "folder. Data are read from IDX files, .npz files and folders of images."
    )


def _idx_images(folder: Path) -> dict[str, Path]:
    """Find the IDX images files of a folder, by the name of their set ("train", "t10k", "")."""
    matches = [(match["set"], file) for file in sorted(folder.iterdir()) if (match := _IMAGES.match(file.name))]
    return dict(reversed(matches))  # of a plain and a .gz file the plain one counts


def _class_names(labels: NDArray[np.int64], source: Path) -> tuple[str, ...]:
    """Number the classes from 0 to the highest label.

    Raises:
        DataError: Most of those classes would be empty: a label is a slip of the pen, not a class.
    """
    highest = int(labels.max(initial=0))
    if highest < len(DIGIT_NAMES):
        return DIGIT_NAMES
    kinds = len(np.unique(labels))
    if kinds <= highest // 2:
        raise DataError(
            f"{source}: label {highest} (image {int(labels.argmax())}) is out of range: only {kinds} different labels "
            f"occur, so 0 to {kinds - 1} would be valid. Correct it, or number the classes without gaps."
        )
    return tuple(str(label) for label in range(highest + 1))
