"""The entry point to all data: a name or a path becomes a `Dataset`."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.datasets.known import KnownDataset
from mnist_cnn.datasets.registry import SOURCES, SPLITS
from mnist_cnn.datasets.split import hold_out_test
from mnist_cnn.errors import DatasetUnavailableError, SettingError, suggest

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_cnn.datasets.download import Progress

AUTO, DIGITS = "auto", "digits"
_VALID_SPLITS = (*SPLITS, "all")
_FALLBACK_NOTICE = (
    "MNIST is not on this machine and could not be downloaded. The 1,797 small digits bundled with scikit-learn are "
    "used instead; results do not compare with those on MNIST."
)


@dataclass(frozen=True)
class ResolvedDataset:
    """The data set that a name stands for, decided once: train and test come from the same one."""

    name: str  # "mnist", "digits", …, or a path; never "auto"
    data_dir: Path | None = None
    notice: str = ""  # why it is not the first choice of "auto"; also on each data set loaded from here

    def load(self, split: str, *, offline: bool = False) -> Dataset:
        """Load one split, as `load_dataset` does."""
        dataset = load_dataset(self.name, split=split, data_dir=self.data_dir, offline=offline)
        return replace(dataset, notice=self.notice or dataset.notice)


def list_datasets() -> dict[str, str]:
    """Return each name that `load_dataset` knows, with a description."""
    return {
        AUTO: "mnist, or digits if MNIST is not on this machine and cannot be downloaded",
        **{source.name: source.description for source in SOURCES.values()},
        DIGITS: "1,797 small handwritten digits bundled with scikit-learn, scaled to 28×28; no download",
    }


def load_dataset(
    name: str | os.PathLike[str],
    *,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
) -> Dataset:
    """Load one split of a data set by name or path; the other split's files are not opened.

    A known set is looked for in `data_dir`, $MNIST_CNN_DATA, the cache, and where Keras and torchvision keep
    it, verified wherever it is found, and otherwise downloaded into the cache. From a source without a test set,
    a stratified 20 % is held out, the same in every run.

    Args:
        name: One of `list_datasets`, or the path of a folder of class folders, a folder of IDX files, an IDX images
            file, an `.npz` file, or a `.csv` table.
        split: "train", "test", or "all" for both together.
        data_dir: A folder to look in first; ignored for paths and for "digits".
        offline: Do not use the network.

    Returns:
        Images uint8 [n, 28, 28] and labels int64 [n].

    Raises:
        SettingError: Unknown name or split, or no such folder.
        DataError: The files at a path are damaged.
        DatasetUnavailableError: A known set was not found; the message lists all places and mirrors.
        MissingExtraError: A download or the bundled digits need a package that is not installed.
    """
    if split not in _VALID_SPLITS:
        raise SettingError(f"there is no split {split!r}. {suggest(split, _VALID_SPLITS)}")
    if name == AUTO:
        return resolve_dataset(name, data_dir=data_dir, offline=offline).load(split, offline=offline)
    if name in SOURCES:
        return _load_split(KnownDataset(SOURCES[str(name)], _folder(data_dir), offline).load, split)
    return _load_split(_load_digits if name == DIGITS else _path_reader(name), split)


def resolve_dataset(
    name: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    offline: bool = False,
) -> ResolvedDataset:
    """Decide which data set a name stands for, and make sure that both its splits are on this machine.

    "auto" is MNIST, or the bundled digits if MNIST is not on this machine and cannot be downloaded; without a
    network this takes about `download.ANSWER_SECONDS`. The test set's files are not opened.

    Args:
        name: As for `load_dataset`.
        data_dir: As for `load_dataset`.
        progress: Called for every piece of a download.
        offline: Do not use the network.

    Raises:
        SettingError: Unknown name, or no such folder.
        DatasetUnavailableError: A known set other than "auto" was not found.
        MissingExtraError: A download needs a package that is not installed.
    """
    if name == DIGITS:
        return ResolvedDataset(DIGITS)
    source = SOURCES.get("mnist" if name == AUTO else str(name))
    if source is None:
        _path_reader(name)  # refuses a missing path
        return ResolvedDataset(str(Path(name).expanduser().resolve()))  # absolute: also found from another folder
    folder = _folder(data_dir)
    try:
        KnownDataset(source, folder, offline, progress).ensure()
    except DatasetUnavailableError:
        if name != AUTO:
            raise
        return ResolvedDataset(DIGITS, notice=_FALLBACK_NOTICE)
    return ResolvedDataset(source.name, folder)


def _load_split(read: Callable[[str], Dataset], split: str) -> Dataset:
    dataset = read("train" if split == "all" else split)
    if dataset.split == "all":
        return dataset if split == "all" else hold_out_test(dataset, split)
    return _joined(dataset, read("test")) if split == "all" else dataset


def _joined(train: Dataset, test: Dataset) -> Dataset:
    return replace(
        train,
        split="all",
        images=np.concatenate([train.images, test.images]),
        labels=np.concatenate([train.labels, test.labels]),
    )


def _load_digits(_split: str) -> Dataset:
    from mnist_cnn.datasets.bundled_digits import load_digits  # OpenCV is slow to import

    return load_digits()


def _path_reader(name: str | os.PathLike[str]) -> Callable[[str], Dataset]:
    from mnist_cnn.datasets.local import read_path  # so is Pillow

    path = Path(name).expanduser().absolute()
    if not os.path.exists(path):  # noqa: PTH110  # never raises
        raise SettingError(
            f"there is no data set and no file or folder {str(name)!r}. {suggest(str(name), list_datasets())}"
        )
    return partial(read_path, path)


def _folder(data_dir: str | os.PathLike[str] | None) -> Path | None:
    if data_dir is not None and not Path(data_dir).is_dir():
        raise SettingError(f"--data-dir {data_dir} is not a folder. Give the folder with the data, or omit the option.")
    return None if data_dir is None else Path(data_dir)
