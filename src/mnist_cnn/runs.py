"""The run folder: what a training run leaves, and the only door from training to evaluation.

The layout of `runs/NAME-001/` is written down here and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mnist_cnn.errors import RunFolderError, SettingError, WriteError, suggest
from mnist_cnn.files import PARTIAL

CONFIG_NAME = "config.toml"
Row = dict[str, float | int]  # epoch (1-based), loss, accuracy, val_loss, val_accuracy, learning_rate, seconds

_NAME = re.compile(r"\w[\w .+-]{0,99}")
_NUMBERED = re.compile(r"^(?P<name>.+)-(?P<number>\d{3,})$")


@dataclass(frozen=True)
class RunFolder:
    """Paths inside one run folder, and its small files read back."""

    root: Path

    @property
    def name(self) -> str:
        """The folder's name, such as `batchnorm-001`."""
        return self.root.name

    @property
    def config(self) -> Path:
        """The configuration that repeats this run: `mnist-cnn train --recipe config.toml`."""
        return self.root / CONFIG_NAME

    @property
    def environment(self) -> Path:
        """Versions, hardware, data checksum, and what the seed cannot fix."""
        return self.root / "environment.json"

    @property
    def history_csv(self) -> Path:
        """One row per finished epoch."""
        return self.root / "history.csv"

    @property
    def history_json(self) -> Path:
        """The same rows as a JSON list of objects."""
        return self.root / "history.json"

    @property
    def model(self) -> Path:
        """The finished model in Keras' own format."""
        return self.root / "model.keras"

    @property
    def best_checkpoint(self) -> Path:
        """The model after the epoch with the best validation result."""
        return self.root / "best.keras"

    @property
    def weights(self) -> Path:
        """The finished model's weights alone."""
        return self.root / "model.weights.h5"

    @property
    def legacy_h5(self) -> Path:
        """The finished model in the old HDF5 format (on request)."""
        return self.root / "model.h5"

    @property
    def metrics(self) -> Path:
        """What evaluation measured."""
        return self.root / "metrics.json"

    @property
    def predictions(self) -> Path:
        """One row per test image: index, label, predicted, confidence, loss, one probability per class."""
        return self.root / "predictions.csv"

    @property
    def figures(self) -> Path:
        """Folder of pictures."""
        return self.root / "figures"

    @property
    def log(self) -> Path:
        """What happened, line by line, with times."""
        return self.root / "log.txt"

    @property
    def model_card(self) -> Path:
        """The model card in the Hugging Face form."""
        return self.root / "README.md"

    @property
    def report(self) -> Path:
        """The self-contained page."""
        return self.root / "report.html"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files (on request)."""
        return self.root / "tensorboard"

    @property
    def state(self) -> Path:
        """What resuming needs; gone once the run is finished."""
        return self.root / "state.npz"

    @property
    def exploration(self) -> Path:
        """Folder with what `explore` finds in the run's data."""
        return self.root / "exploration"

    @property
    def exports(self) -> Path:
        """Folder of the model in other formats (on request)."""
        return self.root / "exports"

    @property
    def lock(self) -> Path:
        """Held by the process that trains."""
        return self.root / ".lock"

    @property
    def finished(self) -> bool:
        """Whether training came to its end and left a model."""
        return self.model.exists() and not self.state.exists()

    def read_json(self, path: Path) -> Any:
        """Read one of this run's JSON files.

        Raises:
            InputError: It is missing or is no JSON.
        """
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunFolderError(
                f"{path} is missing: the run {self.name} is not finished. "
                f"Continue it with: mnist-cnn train --resume {self.root}"
            ) from None
        except ValueError as error:
            raise RunFolderError(f"{path} is not valid JSON ({error}).") from error


def create_run(parent: str | os.PathLike[str], name: str) -> RunFolder:
    """Make the next free folder `parent/NAME-001`, `NAME-002`, …; two processes at once get different ones.

    Raises:
        InputError: `name` is no name for a folder.
        WriteError: `parent` cannot be written.
    """
    parent = Path(parent)
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"a run cannot be called {name!r}: its name becomes a folder's. Use letters, digits and dashes."
        )
    try:
        parent.mkdir(parents=True, exist_ok=True)
        number = _last_number(parent, name)
        while True:
            number += 1
            root = parent / f"{name}-{number:03d}"
            try:
                root.mkdir()  # fails where another process was faster, so no run is ever overwritten
            except FileExistsError:
                continue
            return RunFolder(root)
    except OSError as error:
        raise WriteError(
            f"{parent} cannot hold runs: {error.strerror}. Choose another folder with --runs-dir."
        ) from error


@contextlib.contextmanager
def lock_run(run: RunFolder) -> Iterator[None]:
    """Keep other processes from training the same run; also sweep up what a killed one had half written.

    Raises:
        InputError: Another process is at it.
    """
    lock = FileLock(run.lock, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunFolderError(f"another process is training {run.root}. Wait for it, or train a new run.") from None
    try:
        for partial in list(run.root.rglob(f"{PARTIAL}*")):
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)
        yield
    finally:
        lock.release()  # the file stays: whoever waits for it would lock a name that is gone


def discard_run(run: RunFolder) -> None:
    """Remove a run folder into which nothing was written; any other stays."""
    with contextlib.suppress(OSError):
        if [entry.name for entry in run.root.iterdir()] == [run.lock.name]:
            run.lock.unlink()
        run.root.rmdir()


def open_run(path: str | os.PathLike[str]) -> RunFolder:
    """Open an existing run folder.

    Raises:
        InputError: `path` is no run folder.
    """
    path = Path(path)
    run = RunFolder(path)
    if run.config.exists():
        return run
    if not path.exists():
        siblings = [config.parent.name for config in path.parent.glob(f"*/{CONFIG_NAME}")]
        hint = suggest(path.name, siblings) if siblings else "Train one with: mnist-cnn train"
        raise RunFolderError(f"there is no run {path}. {hint}")
    raise RunFolderError(f"{path} is no run folder: it holds no {CONFIG_NAME}. Give the folder that `train` printed.")


def _last_number(parent: Path, name: str) -> int:
    matches = (_NUMBERED.match(entry.name) for entry in parent.iterdir())
    return max((int(match["number"]) for match in matches if match and match["name"] == name), default=0)


def best_epoch(history: Sequence[Mapping[str, Any]], monitor: str) -> int:
    """Give the epoch (1-based) with the best validation result, the earliest of equals; without validation the last.

    Args:
        history: At least one row; a value that is no number counts as absent.
        monitor: "loss", of which the lowest is the best, or "accuracy", of which the highest is.
    """
    key, sign = f"val_{monitor}", -1 if monitor == "accuracy" else 1
    judged = [row for row in history if isinstance(row.get(key), int | float) and math.isfinite(row[key])]
    chosen = min(judged, key=lambda row: float(sign * row[key])) if judged else history[-1]
    return int(chosen["epoch"])
