"""Where a known data set may lie on this machine, and how to read it there: verified, one split at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from mnist_cnn.datasets.idx import idx_checksum, read_idx
from mnist_cnn.datasets.npz import read_array
from mnist_cnn.datasets.registry import SOURCES, SPLITS, RemoteFile, Source
from mnist_cnn.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA_VARIABLE = "MNIST_CNN_DATA"  # a folder with data sets, searched before all others but --data-dir
CACHE_VARIABLE = "MNIST_CNN_CACHE"  # the folder for downloads, instead of the user's cache

Pair = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images [n, 28, 28] and labels [n]


@dataclass(frozen=True)
class Place:
    """One place to look at: a folder of IDX files, or Keras' `.npz`."""

    path: Path
    reason: str  # why it is looked at, for people

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})"


def cache_folder(source: Source) -> Path:
    """Give the folder that downloads of `source` go to: below $MNIST_CNN_CACHE or the user's cache."""
    root = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("mnist-cnn", appauthor=False)
    return Path(root).expanduser() / "datasets" / source.name


def local_places(source: Source, data_dir: Path | None) -> list[Place]:
    """List every place to look for `source`, in the order of the search; most will not exist.

    Args:
        source: The data set.
        data_dir: The folder that the user named for this, if any.
    """
    places = list(_layouts(data_dir, source, "--data-dir", anything=True)) if data_dir else []
    if from_environment := os.environ.get(DATA_VARIABLE):
        root = Path(from_environment).expanduser()
        places += _layouts(root, source, f"${DATA_VARIABLE}", anything=source.unmistakable)
    places.append(Place(cache_folder(source), "the cache of mnist-cnn"))
    if source.keras:
        keras = Path(os.environ.get("KERAS_HOME") or _home() / ".keras")
        places.append(Place(keras / "datasets" / source.keras, "where Keras keeps it"))
    for root in (Path(), Path("data"), Path("datasets"), _home() / "data", _home() / "datasets"):
        places.append(Place(root.absolute() / source.torchvision / "raw", "where torchvision keeps it"))
    return places


def has_split(place: Place, source: Source, split: str) -> bool:
    """Whether `place` seems to hold a split; no file is opened."""
    if place.path.suffix == ".npz":
        return place.path.is_file()
    return None not in _pair_of_files(place.path, source, split)


def read_split(place: Place, source: Source, split: str) -> Pair | None:
    """Read one split at one place and verify it; the other split's files stay unopened.

    Args:
        place: One of `local_places`.
        source: The data set.
        split: "train" or "test".

    Returns:
        Images, upright, and labels; None where the place does not hold them.

    Raises:
        DataError: They are there, but damaged or another data set's.
    """
    if not has_split(place, source, split):
        return None
    images, labels = _read_arrays(place.path, source, split)
    verify(images, source.files[split, "images"], f"{place.path}, {split} images", source)
    verify(labels, source.files[split, "labels"], f"{place.path}, {split} labels", source)
    if labels.ndim == 2:
        labels = labels[:, 0]  # QMNIST's other columns say who wrote the digit
    return (images.swapaxes(1, 2).copy() if source.transposed else images), labels.astype(np.int64)


def verify(array: NDArray[Any], file: RemoteFile, where: str, source: Source) -> None:
    """Check that an array is what a published file holds: by checksum where one is known, else by its form.

    Args:
        array: As the IDX file gives it.
        file: What it should be.
        where: Names it in the error.
        source: The data set that it belongs to.

    Raises:
        DataError: It is something else.
    """
    expected = np.dtype(np.uint8 if len(file.shape) != 2 else np.int32)
    if array.shape != file.shape or array.dtype != expected:
        raise DataError(f"{where}: {array.dtype} {array.shape}, expected {expected} {file.shape}. Fetch it again.")
    checksum = idx_checksum(array)
    if file.content_sha256 and checksum != file.content_sha256:
        raise DataError(f"{where}: wrong checksum (SHA-256 {checksum[:12]}…). Remove it, or fetch it again.")
    if not file.content_sha256 and (owner := _owner(checksum)):
        raise DataError(f"{where}: these are the files of {owner}, whose names are the same.")
    if array.ndim < 3 and not 0 <= _classes(array).min() <= _classes(array).max() < len(source.class_names):
        raise DataError(f"{where}: labels out of range, valid are 0 to {len(source.class_names) - 1}.")


def _layouts(root: Path, source: Source, reason: str, *, anything: bool) -> Iterator[Place]:
    # Fashion-MNIST and KMNIST use MNIST's file names, so a folder for any set is theirs only by its name.
    if anything or source.name in root.parts[-1:] or source.torchvision in root.parts[-2:]:
        yield Place(root, reason)
    for below in (source.name, f"{source.torchvision}/raw", source.torchvision):
        yield Place(root / below, reason)
    if source.keras.endswith(".npz"):
        yield Place(root / source.keras, reason)


def _read_arrays(path: Path, source: Source, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
    if path.suffix == ".npz":
        return read_array(path, f"x_{split}"), read_array(path, f"y_{split}")
    images, labels = _pair_of_files(path, source, split)
    if images is None or labels is None:
        raise DataError(f"{path} lost its {split} files while they were being read.")
    return read_idx(images), read_idx(labels)


def _pair_of_files(folder: Path, source: Source, split: str) -> tuple[Path | None, Path | None]:
    return (
        find_idx(folder, source.files[split, "images"].name),
        find_idx(folder, source.files[split, "labels"].name),
    )


def find_idx(folder: Path, name: str) -> Path | None:
    """Find an IDX file by its published name, with or without `.gz`, in both usual spellings.

    Some unpackers write `train-images.idx3-ubyte` for `train-images-idx3-ubyte`, and some put each file into a folder
    of its own name.
    """
    stem = name.removesuffix(".gz")
    spellings = (stem, stem.replace("-idx", ".idx"))
    names = [f"{spelling}{suffix}" for suffix in ("", ".gz") for spelling in spellings]
    nested = (folder / outer / inner for outer in names for inner in names)
    return next((file for file in (*(folder / name for name in names), *nested) if file.is_file()), None)


def _owner(checksum: str) -> str | None:
    known = {
        source.files[split, kind].content_sha256: source.name
        for source in SOURCES.values()
        for split in SPLITS
        for kind in ("images", "labels")
    }
    return known.get(checksum)


def _classes(labels: NDArray[Any]) -> NDArray[Any]:
    return labels if labels.ndim == 1 else labels[:, 0]


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container's user without $HOME and without an entry in the password file
        return Path.cwd()
