"""A data set of the registry: found on this machine and verified, or downloaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.datasets.idx import find_idx, idx_checksum, read_idx
from mnist_cnn.datasets.npz import read_array
from mnist_cnn.datasets.registry import SOURCES, SPLITS, RemoteFile, Source
from mnist_cnn.errors import DataError, DatasetUnavailableError, requires_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnist_cnn.datasets.download import Progress

DATA_VARIABLE = "MNIST_CNN_DATA"  # environment variable: a folder of data sets; --data-dir takes precedence
CACHE_VARIABLE = "MNIST_CNN_CACHE"  # environment variable: the folder for downloads instead of the user's cache

Pair = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images [n, 28, 28] and labels [n]


@dataclass(frozen=True)
class Place:
    """One place to look: a folder of IDX files, or Keras' `.npz`."""

    path: Path
    reason: str  # for people: why it is a candidate

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})"


@dataclass(frozen=True)
class KnownDataset:
    """Where and how to look for a data set."""

    source: Source
    data_dir: Path | None  # looked in first
    offline: bool
    progress: Progress | None = None

    def load(self, split: str) -> Dataset:
        """Read one split, downloading it if it is not on this machine.

        Raises:
            DatasetUnavailableError: It was not found; the message lists all places and mirrors.
            MissingExtraError: Downloading needs a package that is not installed.
        """
        found, tried = self._find(split)
        if not found:
            self._download([split], tried)
            found, tried = self._find(split)
        if not found:
            raise self._unavailable(tried)
        return found

    def ensure(self) -> None:
        """Make sure that both splits can be loaded, downloading what is missing; the test set is not opened.

        Raises:
            DatasetUnavailableError: As for `load`.
            MissingExtraError: As for `load`.
        """
        found, tried = self._find("train")
        missing = [] if found else ["train"]
        if not any(has_split(place, self.source, "test") for place in local_places(self.source, self.data_dir)):
            missing.append("test")
        if missing:
            self._download(missing, tried)

    def _find(self, split: str) -> tuple[Dataset | None, list[str]]:
        """Read a split at the first place where it is complete; otherwise return what is wrong with each place."""
        tried, damaged = [], []
        for place in local_places(self.source, self.data_dir):
            try:
                pair = read_split(place, self.source, split)
            except DataError as error:
                tried.append(f"{place}: {error}")
                damaged.append(f"skipped {error}")
                continue
            if pair:
                names, where = self.source.class_names, str(place.path)
                return Dataset(self.source.name, split, *pair, names, where, "; ".join(damaged)), tried
            tried.append(f"{place}: {_lacking(place, self.source, split)}")
        return None, tried

    def _download(self, splits: Sequence[str], tried: Sequence[str]) -> None:
        if self.offline:
            raise self._unavailable([*tried, "mirrors: not asked, because the network is not to be used"])
        with requires_extra("train"):
            from mnist_cnn.datasets.download import MirrorsFailedError, download
        keys = [key for key in self.source.files if key[0] in splits]
        try:
            download(self.source, keys, cache_folder(self.source), self.progress)
        except MirrorsFailedError as error:
            raise self._unavailable([*tried, *error.attempts]) from error

    def _unavailable(self, tried: Sequence[str]) -> DatasetUnavailableError:
        files = ", ".join(file.name for file in self.source.files.values())
        places = "\n".join(f"  - {line}" for line in tried)
        return DatasetUnavailableError(
            f"{self.source.name} is not on this machine and could not be downloaded. Tried:\n{places}\n"
            f"Connect to the network and try again, or put {files} into a folder and name it with --data-dir "
            "or $MNIST_CNN_DATA, or use --dataset digits."
        )


def cache_folder(source: Source) -> Path:
    """Return the folder that downloads of `source` go to: below $MNIST_CNN_CACHE or the user's cache."""
    return cache_root() / "datasets" / source.name


def cache_root() -> Path:
    """Return $MNIST_CNN_CACHE or the user's cache folder for this package; it need not exist."""
    root = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("mnist-cnn", appauthor=False)
    return Path(root).expanduser()


def find_place(source: Source) -> Place | None:
    """Return the first place on this machine that seems to have both splits; no file is opened."""
    places = local_places(source, None)
    return next((place for place in places if all(has_split(place, source, split) for split in SPLITS)), None)


def local_places(source: Source, data_dir: Path | None) -> list[Place]:
    """List every place to look for `source`, in order; most will not exist.

    Args:
        source: The data set.
        data_dir: The folder that the user named, if any.
    """
    places = list(_layouts(data_dir, source, "--data-dir", anything=True)) if data_dir else []
    if from_environment := os.environ.get(DATA_VARIABLE):
        root = Path(from_environment).expanduser()
        places += _layouts(root, source, f"${DATA_VARIABLE}", anything=source.is_unmistakable)
    places.append(Place(cache_folder(source), "the cache of mnist-cnn"))
    if source.keras:
        keras = Path(os.environ.get("KERAS_HOME") or _home() / ".keras")
        places.append(Place(keras / "datasets" / source.keras, "where Keras keeps it"))
    for root in (Path(), Path("data"), Path("datasets"), _home() / "data", _home() / "datasets"):
        places.append(Place(root.absolute() / source.torchvision / "raw", "where torchvision keeps it"))
    return list(dict.fromkeys(places))


def has_split(place: Place, source: Source, split: str) -> bool:
    """Return whether `place` seems to have a split; no file is opened."""
    if place.path.suffix == ".npz":
        return os.path.isfile(place.path)  # noqa: PTH113  # never raises
    return None not in _pair_of_files(place.path, source, split)


def read_split(place: Place, source: Source, split: str) -> Pair | None:
    """Read one split at one place and verify it; the other split's files are not opened.

    Args:
        place: One of `local_places`.
        source: The data set.
        split: "train" or "test".

    Returns:
        Upright images and labels; None if the place does not have them.

    Raises:
        DataError: They are damaged, or another data set's.
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
    """Check that an array is the content of a published file: by checksum where one is known, else by its form.

    Args:
        array: The content of the IDX file.
        file: What it should be.
        where: What to call it in an error message.
        source: The data set that it belongs to.

    Raises:
        DataError: It is anything else.
    """
    expected = np.dtype(np.uint8 if len(file.shape) != 2 else np.int32)
    if array.shape != file.shape or array.dtype != expected:
        raise DataError(f"{where}: {array.dtype} {array.shape}, expected {expected} {file.shape}. Download it again.")
    checksum = idx_checksum(array)
    if file.content_sha256 and checksum != file.content_sha256:
        raise DataError(f"{where}: wrong checksum (SHA-256 {checksum[:12]}…). Download it again.")
    owners = {known.content_sha256: other.name for other in SOURCES.values() for known in other.files.values()}
    if not file.content_sha256 and (owner := owners.get(checksum)):
        raise DataError(f"{where}: these are the files of {owner}, which have the same names.")
    classes = array if array.ndim == 1 else array[..., 0]
    if array.ndim < 3 and not 0 <= classes.min() <= classes.max() < len(source.class_names):
        raise DataError(f"{where}: labels out of range; valid are 0 to {len(source.class_names) - 1}.")


def _layouts(root: Path, source: Source, reason: str, *, anything: bool) -> Iterator[Place]:
    # Fashion-MNIST and KMNIST use MNIST's file names, so only a folder's name distinguishes them.
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
    return read_idx(images or path), read_idx(labels or path)  # `path` if they were removed meanwhile: its error


def _pair_of_files(folder: Path, source: Source, split: str) -> tuple[Path | None, Path | None]:
    images, labels = (find_idx(folder, source.files[split, kind].name) for kind in ("images", "labels"))
    return images, labels


def _lacking(place: Place, source: Source, split: str) -> str:
    """Return what a place without a split lacks: some of its files, or everything."""
    lacking = [
        source.files[split, kind].name
        for kind, found in zip(("images", "labels"), _pair_of_files(place.path, source, split), strict=True)
        if not found
    ]
    return f"it lacks {' and '.join(lacking)}" if place.path.is_dir() else "not there"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container's user without $HOME and without an entry in the password file
        return Path.cwd()
