"""How folders of images are arranged: as Kaggle's archives unpack them, as tutorials and other tools write them.

There is one folder per class, with or without folders for training and test above them; each of these may be the only
folder in another. Skipped are leftovers of operating systems and archivers, and pictures without labels in a folder
that is named like a part, such as `test`, beside the class folders.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_cnn.datasets.class_names import find_class, number_of
from mnist_cnn.errors import DataError
from mnist_cnn.files import TEST, TRAIN, VALIDATION, is_filler, is_left_behind, is_unlabelled, part_of
from mnist_cnn.reading.ink import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DEEPEST = 5  # folders that each contain only the next
_NAMED = 3  # entries of a folder that a message names


@dataclass(frozen=True)
class Layout:
    """Where a folder's images are: one or two folders of class folders."""

    train: Path | None  # None if there is only a test part
    test: Path | None  # None if there is no test part with labels
    classes: tuple[Path, ...]  # of the training part; of the test part if there is no other
    notice: str = ""  # which folders are not read, or not read as their names say


def find_layout(path: Path) -> Layout:
    """Find the folders of class folders below `path`.

    A `val` folder is the test part if there is no other. Otherwise it is not read, because training takes its
    validation images from the training part. Class folders beside a test part are the training part.

    Raises:
        DataError: The parts have no class folders, or two folders are the same part.
    """
    root = unwrap(path)
    folders = subfolders(root)
    parts = _labelled_parts(folders)
    train, test, validation = (parts.get(part) for part in (TRAIN, TEST, VALIDATION))
    if parts:
        classes = () if train else _classes_beside(folders, test or validation)
    else:
        _refuse_parts_without_classes(folders)
        classes = _class_folders(folders)
    unread = [(folder, _why_not_read(folder)) for folder in folders if folder not in classes]
    remarks = [f"skipped {folder}, {reason}" for folder, reason in unread if reason]
    if validation and test:
        remarks.append(f"skipped {validation}: validation images are held out of the training images")
    elif validation:
        remarks.append(f"{validation} serves as the test set, because there is no other")
    test = test or validation
    if classes and test:
        remarks.append(f"the class folders in {root} are the training part, and {test} is the test part")
    elif remarks and not test:
        remarks.append("a fixed fifth of the training images is held out as the test set")
    if classes or not parts:
        train = root
    return Layout(train, test, classes or tuple(subfolders(train or test or root)), "; ".join(remarks))


def entries(folder: Path) -> list[Path]:
    """List a folder, sorted, without hidden files and leftovers of operating systems and archivers.

    Raises:
        DataError: It cannot be read.
    """
    return sorted(Path(entry) for entry in _scan(folder))


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted."""
    return sorted(Path(entry) for entry in _scan(folder) if entry.is_dir())


def image_files(folder: Path) -> list[Path]:
    """List the images in a folder, sorted; they are recognised by their suffix."""
    return sorted(Path(entry) for entry in _scan(folder) if _is_image(entry))


def has_images(folder: Path) -> bool:
    """Return whether there is an image in a folder; the search ends at the first."""
    return any(_is_image(entry) for entry in _scan(folder))


def folders_of(path: Path) -> Iterator[Path]:
    """Yield `path`, and as long as it has only one subfolder, that folder."""
    yield path
    for _ in range(_DEEPEST):
        inner = subfolders(path)
        if len(inner) != 1:
            return
        (path,) = inner
        yield path


def unwrap(folder: Path, part: str | None = None) -> Path:
    """Descend to the folder of the class folders or the parts, through folders with only one subfolder.

    Args:
        folder: Where to begin.
        part: Which part `folder` is, if any; `trainingSet/trainingSet` is one.
    """
    for inner in itertools.islice(folders_of(folder), 1, None):
        if part_of(inner.name) not in (None, part) or _is_class(inner) or not subfolders(inner):
            break
        folder = inner
    return folder


def pictures_folder(folder: Path) -> Path:
    """Return the folder with a class's images: its own, or the only one in it."""
    return next((each for each in folders_of(folder) if has_images(each)), folder)


def describe(folder: Path) -> str:
    """Describe what is in a folder: "2 folders (a, b), 5 images (0.png, 1.png, 2.png, …)"."""
    images = image_files(folder)
    others = [entry for entry in entries(folder) if entry.is_file() and entry not in images]
    kinds = (("folder", subfolders(folder)), ("image", images), ("other file", others))
    return ", ".join(_count(kind, found) for kind, found in kinds if found) or "nothing"


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Go through a folder in the system's order; asking whether an entry is a folder then needs no disk access."""
    try:
        with os.scandir(folder) as found:
            yield from (each for each in found if not is_left_behind(each.name))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}.") from error


def _is_image(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file()  # noqa: PTH122 - ten times as fast


def _count(kind: str, found: Sequence[Path]) -> str:
    names = ", ".join(each.name for each in found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
    return f"{len(found):,} {kind}{'s' if len(found) > 1 else ''} ({names})"


def _is_class(folder: Path) -> bool:
    """Return whether a folder has the images of a class: itself, or in a subfolder with a name like "images"."""
    inner = subfolders(folder)
    return has_images(folder) or (len(inner) == 1 and is_filler(inner[0].name) and has_images(inner[0]))


def _has_classes(folder: Path) -> bool:
    """Return whether a part has class folders; `testSet/testSet` and `test/images` may contain unlabelled images."""
    part = part_of(folder.name)
    classes = [each for each in subfolders(unwrap(folder, part)) if has_images(pictures_folder(each))]
    if len(classes) == 1:
        return part_of(classes[0].name) is None and not is_filler(classes[0].name)
    return len(classes) > 1


def _labelled_parts(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the parts that have class folders.

    Raises:
        DataError: Two folders are the same part.
    """
    parts: dict[str, Path] = {}
    for folder in folders:
        part = part_of(folder.name)
        if part is None or not _has_classes(folder):
            continue
        if part in parts:
            raise DataError(
                f"{folder.parent} contains {parts[part].name} and {folder.name}, which both mean the {part} part. "
                "Rename one of them, or give a folder that contains only one."
            )
        parts[part] = folder
    return {part: unwrap(folder, part) for part, folder in parts.items()}


def _refuse_parts_without_classes(folders: Sequence[Path]) -> None:
    """Refuse images directly in `train` and `test`: these names are not their classes."""
    holding = [folder for folder in folders if has_images(pictures_folder(folder))]
    if holding and all(part_of(folder.name) for folder in holding):
        raise DataError(
            f"{holding[0]} has no class folders: found {describe(holding[0])}, expected one subfolder of images "
            f"per class, such as {holding[0] / '0'}."
        )


def _class_folders(folders: Sequence[Path]) -> tuple[Path, ...]:
    """Leave out folders named like a part, or as unlabelled, if there are at least two class folders beside them.

    "train" is a class beside "bus" and "ship", but not beside numbers.
    """
    others = [folder for folder in folders if not _is_part(folder)]
    if len(others) < 2:
        return tuple(folders)
    if all(number_of(folder.name) is not None for folder in others):
        return tuple(others)
    return tuple(
        folder for folder in folders if folder in others or (part_of(folder.name) == TRAIN and _is_class(folder))
    )


def _classes_beside(folders: Sequence[Path], part: Path | None) -> tuple[Path, ...]:
    """Return the class folders beside a test part; none if no class of that part is among them."""
    found = tuple(folder for folder in folders if _is_class(folder) and not _is_part(folder))
    known = [folder.name for folder in subfolders(part)] if part else []
    return found if any(find_class(folder.name, known) is not None for folder in found) else ()


def _is_part(folder: Path) -> bool:
    return part_of(folder.name) is not None or is_unlabelled(folder.name)


def _why_not_read(folder: Path) -> str:
    """Return why a folder beside the parts is not read; empty if it is read, or unrelated to images."""
    if _has_classes(folder):
        return "" if part_of(folder.name) else "whose name is neither train nor test"
    if has_images(pictures_folder(folder)):
        return "which has images without class folders"
    return "which has no images" if part_of(folder.name) else ""
