"""Folders of images with one subfolder per class, optionally in folders for training and test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.class_names import find_class, in_order
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.datasets.layout import (
    describe,
    entries,
    find_layout,
    has_images,
    image_files,
    pictures_folder,
    subfolders,
)
from mnist_cnn.errors import DataError
from mnist_cnn.reading.ink import SUFFIXES, prepare

if TYPE_CHECKING:
    from pathlib import Path


def read_folder(path: Path, split: str) -> Dataset:
    """Read one split of a folder of images, or all of it if it is not divided into train and test.

    `mnist_cnn.reading.ink` converts each image to MNIST's form, as in reading. Classes are the subfolders' names,
    sorted; by number if all mean one ("3", "three", "digit_3"). Hidden files and files without the suffix of an image
    format are skipped.

    Args:
        path: The folder, in one of the forms that `layout` knows.
        split: "train" or "test"; ignored if the folder has no split.

    Raises:
        DataError: No classes, a class without images, an unreadable image, or a test class that train lacks.
    """
    layout = find_layout(path)
    root = layout.test if split == "test" and layout.test else layout.train
    if root is None:
        raise DataError(f"{path} has images for testing, but none for training: expected a folder named train.")
    class_root = layout.train or root
    if not layout.classes:
        raise DataError(
            f"{class_root} has no class folders: found {describe(class_root)}, expected one subfolder of images per "
            f"class, such as {class_root / '0'}."
        )
    class_names = in_order(folder.name for folder in layout.classes)
    folders = _folders_by_class(root, class_names) if root != layout.train else _all_folders(root, class_names)
    files = [(file, label) for folder, label in folders for file in image_files(folder)]
    if not files:
        raise DataError(f"{root} has no images in its class folders. Put at least one there.")
    return Dataset(
        name=path.name,
        split=split if layout.test else "all",
        images=np.stack([prepare(file).image for file, _ in files]),
        labels=np.array([label for _, label in files], np.int64),
        class_names=class_names,
        source=str(path),
        notice=layout.notice,
    )


def find_skipped(path: Path) -> list[Path]:
    """Return the files among a folder's training images that are not read because of their suffix; not hidden ones."""
    layout = find_layout(path)
    folders = [pictures_folder(folder) for folder in layout.classes] if layout.train else []
    return [
        file
        for folder in folders
        if has_images(folder)  # otherwise other files were read: IDX, NumPy or tables
        for file in entries(folder)
        if file.is_file() and file.suffix.lower() not in SUFFIXES
    ]


def _all_folders(root: Path, class_names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Return each class's folder of images with its label.

    Raises:
        DataError: A class has no images.
    """
    folders = [(pictures_folder(root / name), label) for label, name in enumerate(class_names)]
    for folder, label in folders:
        if not has_images(folder):
            raise DataError(
                f"{folder} has no images of class {class_names[label]!r}: found {describe(folder)}. Expected one "
                "subfolder of images per class, optionally in folders named train and test. Put images of the class "
                f"there, move what is not a class out of {root}, or give the path of the folder of class folders."
            )
    return folders


def _folders_by_class(root: Path, class_names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Return the folders of a test part with the labels of the training part; classes may be missing.

    Raises:
        DataError: A folder of images is not a class of the training part.
    """
    folders = [(folder, find_class(folder.name, class_names)) for folder in subfolders(root)]
    for folder, label in folders:
        if label is None and has_images(pictures_folder(folder)):
            raise DataError(
                f"{folder} is not a class of the training images, whose classes are {', '.join(class_names)}. Give "
                "the folder the name of one of them, or add images of this class to the training images."
            )
    return [(pictures_folder(folder), label) for folder, label in folders if label is not None]
