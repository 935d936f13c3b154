"""The one door to all data: a name or a path becomes a `Dataset`."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.datasets.places import cache_folder, has_split, local_places, read_split
from mnist_cnn.datasets.registry import SOURCES, SPLITS, Source
from mnist_cnn.datasets.split import hold_out_test
from mnist_cnn.errors import DataError, DatasetUnavailableError, MissingExtraError, SettingError, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnist_cnn.datasets.download import Progress

AUTO, DIGITS = "auto", "digits"
_VALID_SPLITS = (*SPLITS, "all")
_FALLBACK_NOTICE = (
    "MNIST is neither at hand nor to be downloaded, so this uses the 1,797 small digits bundled with "
    "scikit-learn instead, and its results do not compare with those on MNIST."
)


@dataclass(frozen=True)
class ResolvedDataset:
    """Which data set a name stands for now: decided once, so that train and test come from the same one."""

    name: str  # "mnist", "digits", …, or a path; never "auto"
    data_dir: Path | None = None
    notice: str = ""  # why it is not what "auto" means first; also on each data set loaded from here

    def load(self, split: str, *, progress: Progress | None = None, offline: bool = False) -> Dataset:
        """Load one split, as `load_dataset` does."""
        dataset = load_dataset(self.name, split=split, data_dir=self.data_dir, progress=progress, offline=offline)
        return replace(dataset, notice=self.notice or dataset.notice)


def list_datasets() -> dict[str, str]:
    """Give each name that `load_dataset` knows with a line about it."""
    return {
        AUTO: "mnist, or digits where MNIST is neither at hand nor to be downloaded",
        **{source.name: source.description for source in SOURCES.values()},
        DIGITS: "1,797 small handwritten digits bundled with scikit-learn, scaled to 28×28; no download",
    }


def load_dataset(
    name: str | os.PathLike[str],
    *,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    offline: bool = False,
) -> Dataset:
    """Load one split of a data set by name or path; the other split's files are not opened.

    A known set is looked for in `data_dir`, $MNIST_CNN_DATA, the cache, and where Keras and torchvision keep
    it, verified wherever it is found, else downloaded into the cache. A source without a test set of its own
    holds out a stratified 20 %, the same in every run.

    Args:
        name: One of `list_datasets`, or the path of a folder of class folders, a folder with an IDX pair or
            two, an IDX images file, or an `.npz` file.
        split: "train", "test", or "all" for both together.
        data_dir: A folder to look in first; without meaning for paths and for "digits".
        progress: Told of every piece of a download.
        offline: Whether to do without the network.

    Returns:
        Images uint8 [n, 28, 28] and labels int64 [n].

    Raises:
        SettingError: Unknown name or split, or no such folder.
        DataError: The files at a path are damaged.
        DatasetUnavailableError: A known set is nowhere to be had; the message lists all places and mirrors.
        MissingExtraError: A download or the bundled digits need a package that is not installed.
    """
    if split not in _VALID_SPLITS:
        raise SettingError(f"there is no split {split!r}. {suggest(split, _VALID_SPLITS)}")
    if name == AUTO:
        resolved = resolve_dataset(name, data_dir=data_dir, progress=progress, offline=offline)
        return resolved.load(split, progress=progress, offline=offline)
    if name in SOURCES:
        source = SOURCES[str(name)]
        folder = None if data_dir is None else Path(data_dir)
        _check_folder(folder)
        return _load_split(lambda part: _load_known(source, part, folder, progress, offline=offline), split)
    if name == DIGITS:
        return _load_split(_load_digits, split)
    return _load_split(_path_reader(name), split)


def resolve_dataset(
    name: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    offline: bool = False,
) -> ResolvedDataset:
    """Decide once which data set a name stands for, and see that both its splits are at hand.

    "auto" is MNIST, or the bundled digits where MNIST is neither at hand nor to be downloaded; without a
    network that takes about `download.ANSWER_SECONDS`. The test set's files are seen to exist, not opened.

    Args:
        name: As for `load_dataset`.
        data_dir: As for `load_dataset`.
        progress: Told of every piece of a download.
        offline: Whether to do without the network.

    Raises:
        SettingError: Unknown name, or no such folder.
        DatasetUnavailableError: A known set other than "auto" is nowhere to be had.
        MissingExtraError: A download needs a package that is not installed.
    """
    data_dir = None if data_dir is None else Path(data_dir)
    source = SOURCES.get("mnist" if name == AUTO else str(name))
    if source is None:
        if name != DIGITS:
            _path_reader(name)  # refuses what is not there
            name = Path(name).expanduser().resolve()  # so that it is still found from another folder
        return ResolvedDataset(str(name))
    _check_folder(data_dir)
    try:
        _ensure(source, data_dir, progress, offline=offline)
    except DatasetUnavailableError:
        if name != AUTO:
            raise
        return ResolvedDataset(DIGITS, notice=_FALLBACK_NOTICE)
    return ResolvedDataset(source.name, data_dir)


def _load_split(read: Callable[[str], Dataset], split: str) -> Dataset:
    if split != "all":
        dataset = read(split)
        return hold_out_test(dataset, split) if dataset.split == "all" else dataset
    dataset = read("train")
    return dataset if dataset.split == "all" else _joined(dataset, read("test"))


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
    if not path.exists():
        raise SettingError(
            f"there is no data set and no file or folder {str(name)!r}. {suggest(str(name), list_datasets())}"
        )
    return lambda split: read_path(path, split)


def _check_folder(data_dir: Path | None) -> None:
    if data_dir is not None and not data_dir.is_dir():
        raise SettingError(
            f"--data-dir {data_dir} is not a folder. Give the folder that holds the data, or leave it out."
        )


def _load_known(
    source: Source, split: str, data_dir: Path | None, progress: Progress | None, *, offline: bool
) -> Dataset:
    found, tried = _find(source, split, data_dir)
    if found:
        return found
    _download(source, [split], tried, progress, offline=offline)
    found, tried = _find(source, split, data_dir)
    if found:
        return found
    raise _unavailable(source, tried, [])


def _find(source: Source, split: str, data_dir: Path | None) -> tuple[Dataset | None, list[str]]:
    """Read a split at the first place that holds it whole; else say of each place what is wrong."""
    tried, damaged = [], []
    for place in local_places(source, data_dir):
        try:
            pair = read_split(place, source, split)
        except DataError as error:
            tried.append(f"{place}: {error}")
            damaged.append(f"passed over {error}")
            continue
        if pair:
            notice = "; ".join(damaged)
            return Dataset(source.name, split, *pair, source.class_names, str(place.path), notice), tried
        tried.append(f"{place}: not there")
    return None, tried


def _ensure(source: Source, data_dir: Path | None, progress: Progress | None, *, offline: bool) -> None:
    """See that both splits can be loaded, downloading what cannot; the test set is not opened."""
    found, tried = _find(source, "train", data_dir)
    missing = [] if found else ["train"]
    if not any(has_split(place, source, "test") for place in local_places(source, data_dir)):
        missing.append("test")
    if missing:
        _download(source, missing, tried, progress, offline=offline)


def _download(source: Source, splits: list[str], tried: list[str], progress: Progress | None, *, offline: bool) -> None:
    if offline:
        raise _unavailable(source, tried, ["no mirror was asked, since the network is not to be used"])
    try:
        from mnist_cnn.datasets.download import MirrorsFailedError, download  # needs the extra
    except ImportError as error:
        raise MissingExtraError(error.name or "httpx", "train") from error
    keys = [key for key in source.files if key[0] in splits]
    try:
        download(source, keys, cache_folder(source), progress)
    except MirrorsFailedError as error:
        raise _unavailable(source, tried, error.attempts) from error


def _unavailable(source: Source, tried: Sequence[str], mirrors: Sequence[str]) -> DatasetUnavailableError:
    return DatasetUnavailableError(
        "\n".join(
            [
                f"{source.name} is neither on this machine nor to be downloaded. Places and mirrors tried:",
                *(f"  - {line}" for line in [*tried, *mirrors]),
                f"Go online and try again, or put {', '.join(file.name for file in source.files.values())} "
                "into a folder and name it with --data-dir or $MNIST_CNN_DATA, or use --dataset digits.",
            ]
        )
    )
