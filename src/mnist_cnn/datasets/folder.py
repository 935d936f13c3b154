"""Folders of images with one sub-folder per class, optionally below `train/` and `test/`."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from mnist_cnn.datasets.dataset import IMAGE_SIZE, Dataset
from mnist_cnn.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_PIXELS = 64_000_000  # of one image; a phone's largest photo, and 256 MB when decoded

_RUNS_A_PROGRAM = {"EPS"}  # Pillow hands these to Ghostscript


def folder_has_split(path: Path) -> bool:
    """Whether `path` holds `train/` and `test/`, each with its class folders."""
    return (path / "train").is_dir() and (path / "test").is_dir()


def read_folder(path: Path, split: str) -> Dataset:
    """Read one split of a folder of images, or all of it where it has no `train/` and `test/`.

    Classes are the sub-folders' names, sorted; by number where all are integers. Hidden files are passed
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
        images=np.stack([read_image(file) for file, _ in files]),
        labels=np.array([label for _, label in files], np.int64),
        class_names=class_names,
        source=str(path),
    )


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read one image file as MNIST would show it.

    Returns:
        uint8 [28, 28], 0 is background.

    Raises:
        DataError: No image, damaged, or larger than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd files that can still be read; the limit below is our own
            with Image.open(path, formats=_formats()) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{path} has {image.width}×{image.height} pixels; at most {MAX_PIXELS:,} are read. "
                        "Scale it down."
                    )
                return prepare(image)
    except DataError:
        raise
    except Exception as error:  # Pillow's parsers let many kinds through: struct, syntax, index, zlib, …
        raise DataError(f"{path} is no image that can be read. Replace or remove it.") from error


def prepare(image: Image.Image) -> NDArray[np.uint8]:
    """Bring an image of any size, mode and polarity to 28×28 light ink on black.

    The whole picture is kept, with its aspect: padded to a square with its background and scaled smoothly.
    The polarity is decided at the border, which is mostly background: where its median is light, the image
    is inverted. An image that is MNIST's own (28×28, dark border) comes back unchanged.

    Returns:
        uint8 [28, 28], 0 is background.
    """
    grey = _grey(ImageOps.exif_transpose(image))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(border) > 127:
        grey = 255 - grey
    square = ImageOps.pad(Image.fromarray(grey), (max(grey.shape),) * 2, color=0)
    return np.asarray(square.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)).copy()


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips 16 bits at 255
        return (np.asarray(image) >> 8).astype(np.uint8)
    if not image.has_transparency_data:
        return np.asarray(image.convert("L"))
    # Transparent drawings show on whichever paper contrasts with their ink.
    luminance, alpha = np.moveaxis(np.asarray(image.convert("LA"), np.float32), 2, 0)  # each [height, width]
    opaque = alpha > 127
    paper = 0 if opaque.any() and luminance[opaque].mean() > 127 else 255
    blended: NDArray[np.float32] = (luminance * alpha + paper * (255 - alpha)) / 255
    return np.rint(blended).astype(np.uint8)


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
    files = sorted(entry for entry in _entries(folder) if entry.is_file() and entry.suffix.lower() in _suffixes())
    if not files:
        raise DataError(f"{folder} holds no images. Add some, or remove the folder.")
    return files


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}.") from error


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _RUNS_A_PROGRAM)


@cache
def _suffixes() -> frozenset[str]:
    formats = _formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)
