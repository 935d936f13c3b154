"""Folders of images with one sub-folder per class, optionally below `train/` and `test/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import DataError
from mnist_cnn.ink import SUFFIXES, prepare

if TYPE_CHECKING:
    from pathlib import Path


def folder_has_split(path: Path) -> bool:
    """Whether `path` holds `train/` and `test/`, each with its class folders."""
    return (path / "train").is_dir() and (path / "test").is_dir()


def read_folder(path: Path, split: str) -> Dataset:
    """Read one split of a folder of images, or all of it where it has no `train/` and `test/`.

    Each image is brought to MNIST's form by `mnist_cnn.ink`, as in reading: a model is trained on what it will be
    shown. Classes are the sub-folders' names, sorted; by number where all are integers. Hidden files are passed
    over, and so are those whose suffix is no image format's (notes, tables).

    Args:
        path: The folder.
        split: "train" or "test"; without meaning where the folder has no split.

    Raises:
        DataError: No classes, a class without images, an unreadable image, or a test class that train lacks.
    """
    has_split = folder_has_split(path)
    class_names = _class_names(path / "train" if has_split else path)
    root = path / split if has_split else path
    _refuse_unknown_classes(root, class_names)
    files = [(file, label) for label, name in enumerate(class_names) for file in _image_files(root / name)]
    if not files:
        raise DataError(f"{root} holds no images in its class folders; put at least one image there.")
    return Dataset(
        name=path.name,
        split=split if has_split else "all",
        images=np.stack([prepare(file).image for file, _ in files]),
        labels=np.array([label for _, label in files], np.int64),
        class_names=class_names,
        source=str(path),
    )


def find_passed_over(path: Path) -> list[Path]:
    """Give what lies among the images of one split and is not read, by its suffix; hidden files are none.

    Args:
        path: The folder of class folders.
    """
    folders = sorted(entry for entry in _entries(path) if entry.is_dir())
    return [file for folder in folders for file in sorted(_entries(folder)) if file.suffix.lower() not in SUFFIXES]


def _class_names(root: Path) -> tuple[str, ...]:
    names = [entry.name for entry in _entries(root) if entry.is_dir()]
    if not names:
        raise DataError(f"{root} holds no class folders; expected one sub-folder of images per class.")
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))


def _refuse_unknown_classes(root: Path, class_names: tuple[str, ...]) -> None:
    unknown = [entry.name for entry in _entries(root) if entry.is_dir() and entry.name not in class_names]
    if unknown:
        raise DataError(f"{root / sorted(unknown)[0]} is no class of {root.parent / 'train'}. Rename or remove it.")


def _image_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []  # a class that this split does not hold
    files = sorted(entry for entry in _entries(folder) if entry.is_file() and entry.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no images. Add some, or remove the folder.")
    return files


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}.") from error
