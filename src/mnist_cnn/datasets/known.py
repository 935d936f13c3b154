"""A data set of the registry: found on this machine, or downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.datasets.places import cache_folder, has_split, local_places, read_split
from mnist_cnn.errors import DataError, DatasetUnavailableError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mnist_cnn.datasets.download import Progress
    from mnist_cnn.datasets.registry import Source


@dataclass(frozen=True)
class KnownDataset:
    """Where and how to look for a data set."""

    source: Source
    data_dir: Path | None  # looked in first
    progress: Progress | None
    offline: bool

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
        """Read a split at the first place that has it whole; otherwise say what is wrong with each place."""
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
            tried.append(f"{place}: not there")
        return None, tried

    def _download(self, splits: Sequence[str], tried: Sequence[str]) -> None:
        if self.offline:
            raise self._unavailable([*tried, "mirrors: not asked, because the network is not to be used"])
        try:
            from mnist_cnn.datasets.download import MirrorsFailedError, download  # needs the extra
        except ImportError as error:
            raise MissingExtraError(error.name or "pooch", "train") from error
        keys = [key for key in self.source.files if key[0] in splits]
        try:
            download(self.source, keys, cache_folder(self.source), self.progress)
        except MirrorsFailedError as error:
            raise self._unavailable([*tried, *error.attempts]) from error

    def _unavailable(self, tried: Sequence[str]) -> DatasetUnavailableError:
        files = ", ".join(file.name for file in self.source.files.values())
        return DatasetUnavailableError(
            "\n".join(
                [
                    f"{self.source.name} is not on this machine and could not be downloaded. Tried:",
                    *(f"  - {line}" for line in tried),
                    f"Connect to the network and try again, or put {files} into a folder and name it with --data-dir "
                    "or $MNIST_CNN_DATA, or use --dataset digits.",
                ]
            )
        )
