"""How folders of data are laid out: as here, as Kaggle's archives unpack, as tutorials and other tools write them.

Images lie in one folder per class, with or without folders for training and test above them; any of these may lie in
a folder of its own. What operating systems and archivers leave behind is passed over, and so are pictures without
labels in a folder named as a part beside the class folders.
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

_DEEPEST = 5  # folders in folders, each the only one
_NAMED = 3  # entries of a folder that a message names


@dataclass(frozen=True)
class Layout:
    """Where a folder's images lie: one or two folders of class folders."""

    train: Path | None  # None where there is a test part alone
    test: Path | None  # None where there is no test part with labels
    classes: tuple[Path, ...]  # the class folders of the training part, or of the test part alone
    notice: str = ""  # what becomes of folders that are not read, or not read as their names say


def find_layout(path: Path) -> Layout:
    """Find the folders of class folders below `path`.

    A `val` folder is the test part where there is no other. Beside one it is not read, since training holds its
    validation images out of the training part. Class folders beside a test part are the training part.

    Raises:
        DataError: The parts hold no class folders, or two folders are the same part.
    """
    root = unwrap(path)
    folders = subfolders(root)
    parts = _labelled_parts(folders)
    if not parts:
        _refuse_parts_without_classes(folders)
        classes = _class_folders(folders)
        return Layout(root, None, classes, "; ".join(_fifth_held_out(_passed_over(_without(folders, classes)))))
    train, test, validation = (parts.get(part) for part in (TRAIN, TEST, VALIDATION))
    classes = () if train else _classes_beside(folders, test or validation)
    remarks = _passed_over(_without(folders, classes))
    if validation and test:
        remarks.append(f"passed over {validation}: validation images are held out of the training images")
    elif validation:
        remarks.append(f"{validation} serves as the test set, since there is no other")
    elif remarks and not test:
        remarks = _fifth_held_out(remarks)
    test = test or validation
    if classes:
        remarks.append(f"the class folders in {root} are the training part, and {test} is the test part")
        return Layout(root, test, classes, "; ".join(remarks))
    return Layout(train, test, tuple(subfolders(train or test or root)), "; ".join(remarks))


def find_divided(folder: Path) -> Path | None:
    """Find a folder below `folder` that holds train and test parts with class folders; None where there is none.

    Raises:
        DataError: Two folders of it are the same part.
    """
    inner = itertools.chain.from_iterable(folders_of(each) for each in subfolders(folder))
    return next((each for each in inner if _labelled_parts(subfolders(each))), None)


def entries(folder: Path) -> list[Path]:
    """List a folder, sorted, without hidden files and what operating systems and archivers leave behind.

    Raises:
        DataError: It cannot be read.
    """
    return sorted(Path(entry) for entry in _scan(folder))


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted."""
    return sorted(Path(entry) for entry in _scan(folder) if entry.is_dir())


def image_files(folder: Path) -> list[Path]:
    """List the images in a folder, sorted; told by their suffix."""
    return sorted(Path(entry) for entry in _scan(folder) if _is_image(entry))


def has_images(folder: Path) -> bool:
    """Whether there is an image in a folder; the rest of it is not looked at."""
    return any(_is_image(entry) for entry in _scan(folder))


def folders_of(path: Path) -> Iterator[Path]:
    """Give `path` and, as long as each holds one folder alone, that folder."""
    yield path
    for _ in range(_DEEPEST):
        inner = subfolders(path)
        if len(inner) != 1:
            return
        (path,) = inner
        yield path


def unwrap(folder: Path, part: str | None = None) -> Path:
    """Go down to the folder that holds the class folders or the parts, through folders that hold one folder alone.

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
    """Give the folder in which a class's images lie: its own, or the only one in it."""
    return next((each for each in folders_of(folder) if has_images(each)), folder)


def describe(folder: Path) -> str:
    """Say what a folder holds: "2 folders (a, b), 5 images, 1 other file (notes.txt)"."""
    images = image_files(folder)
    others = [entry for entry in entries(folder) if entry.is_file() and entry not in images]
    kinds = (("folder", subfolders(folder)), ("image", images), ("other file", others))
    return ", ".join(_count(kind, found) for kind, found in kinds if found) or "nothing"


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Go through a folder in the system's order; whether an entry is a folder then costs no look at the disk."""
    try:
        with os.scandir(folder) as found:
            yield from (each for each in found if not is_left_behind(each.name))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}.") from error


def _is_image(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file()  # noqa: PTH122 - ten times a Path's


def _count(kind: str, found: Sequence[Path]) -> str:
    names = ", ".join(each.name for each in found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
    return f"{len(found):,} {kind}{'s' if len(found) > 1 else ''} ({names})"


def _is_class(folder: Path) -> bool:
    """Whether a folder holds the images of a class: itself, or in a folder whose name says no more than "images"."""
    inner = subfolders(folder)
    if has_images(folder) or len(inner) != 1:
        return has_images(folder)
    return is_filler(inner[0].name) and has_images(inner[0])


def _has_classes(folder: Path) -> bool:
    """Whether a part holds class folders; `testSet/testSet` and `test/images` may hold images without labels."""
    part = part_of(folder.name)
    classes = [each for each in subfolders(unwrap(folder, part)) if has_images(pictures_folder(each))]
    if len(classes) == 1:
        return part_of(classes[0].name) is None and not is_filler(classes[0].name)
    return len(classes) > 1


def _labelled_parts(folders: Sequence[Path]) -> dict[str, Path]:
    """Give the parts that hold class folders.

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
                f"{folder.parent} holds {parts[part].name} and {folder.name}, and both names mean the {part} part. "
                "Name one of them differently, or give a folder that holds only one."
            )
        parts[part] = folder
    return {part: unwrap(folder, part) for part, folder in parts.items()}


def _refuse_parts_without_classes(folders: Sequence[Path]) -> None:
    """Refuse images that lie in `train` and `test` themselves: these names are not their classes."""
    holding = [folder for folder in folders if has_images(pictures_folder(folder))]
    if holding and all(part_of(folder.name) for folder in holding):
        raise DataError(
            f"{holding[0]} holds no class folders: found {describe(holding[0])}, expected one sub-folder of images "
            f"per class, such as {holding[0] / '0'}."
        )


def _class_folders(folders: Sequence[Path]) -> tuple[Path, ...]:
    """Leave out folders that are named as a part, or as unlabelled, beside at least two class folders.

    "train" is a class beside "bus" and "ship", but not beside numbers.
    """
    others = _without(folders, [folder for folder in folders if _is_part(folder)])
    if len(others) < 2:
        return tuple(folders)
    is_numbered = all(number_of(folder.name) is not None for folder in others)
    return tuple(
        folder
        for folder in folders
        if folder in others or (part_of(folder.name) == TRAIN and not is_numbered and _is_class(folder))
    )


def _classes_beside(folders: Sequence[Path], part: Path | None) -> tuple[Path, ...]:
    """Give the class folders that lie beside a test part; none where no class of that part is among them."""
    found = tuple(folder for folder in folders if _is_class(folder) and not _is_part(folder))
    known = [folder.name for folder in subfolders(part)] if part else []
    return found if any(find_class(folder.name, known) is not None for folder in found) else ()


def _is_part(folder: Path) -> bool:
    return part_of(folder.name) is not None or is_unlabelled(folder.name)


def _without(folders: Sequence[Path], left_out: Sequence[Path]) -> list[Path]:
    return [folder for folder in folders if folder not in left_out]


def _passed_over(folders: Sequence[Path]) -> list[str]:
    return [f"passed over {folder}, {reason}" for folder in folders if (reason := _why_not_read(folder))]


def _fifth_held_out(remarks: list[str]) -> list[str]:
    return [*remarks, "a fixed fifth of the training images is held out as the test set"] if remarks else []


def _why_not_read(folder: Path) -> str:
    """Say why a folder beside the parts is not read; empty where it is read, or is not about images at all."""
    if _has_classes(folder):
        return "" if part_of(folder.name) else "whose name is neither train nor test"
    if has_images(pictures_folder(folder)):
        return "which holds images without class folders"
    return "which holds no images" if part_of(folder.name) else ""
