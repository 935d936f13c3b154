"""The run folder: what a training run writes, and the only connection from training to evaluation.

The layout of `runs/NAME-001/` is written here, except for the names in `files` that the reading side looks for.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mnist_cnn.environment import shell
from mnist_cnn.errors import RunFolderError, SettingError, WriteError, suggest
from mnist_cnn.files import CARD_NAME, CONFIG_NAME, EXPORTS_NAME, MODEL_NAME, remove_partial

Row = dict[str, float | int]  # epoch (1-based), loss, accuracy, val_loss, val_accuracy, learning_rate, seconds

_LONGEST = 100  # characters of a name
_NAME = re.compile(rf"\w[\w .+-]{{0,{_LONGEST - 1}}}")


class _Inside:
    """A path in a run folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: RunFolder, _kind: object = None) -> Path:
        return run.root / self._name


@dataclass(frozen=True)
class RunFolder:
    """Paths in one run folder, and its small files."""

    root: Path

    config = _Inside(CONFIG_NAME)  #: the configuration that repeats this run: `mnist-cnn train --recipe config.toml`
    environment = _Inside("environment.json")  #: versions, hardware, data checksum, and what the seed does not fix
    history_csv = _Inside("history.csv")  #: one row per finished epoch
    history_json = _Inside("history.json")  #: the same rows as a JSON list of objects
    model = _Inside(MODEL_NAME)  #: the finished model in Keras' own format
    best_checkpoint = _Inside("best.keras")  #: the model after the epoch with the best validation result
    weights = _Inside("model.weights.h5")  #: the finished model's weights alone
    legacy_h5 = _Inside("model.h5")  #: the finished model in the old HDF5 format (on request)
    metrics = _Inside("metrics.json")  #: everything that evaluation measured
    predictions = _Inside("predictions.csv")  #: one row per test image: label, prediction, confidence, loss, …
    figures = _Inside("figures")  #: folder of the pictures in the report
    log = _Inside("log.txt")  #: what happened, line by line, with times
    model_card = _Inside(CARD_NAME)  #: model card, in the form of Hugging Face
    report = _Inside("report.html")  #: the report, one self-contained page
    tensorboard = _Inside("tensorboard")  #: folder of TensorBoard's event files (on request)
    state = _Inside("state.npz")  #: what resuming needs; removed once the run is finished
    composed = _Inside("composed.npz")  #: pictures composed for training, if it uses any; removed with the state
    exploration = _Inside("exploration")  #: folder of what `explore` finds in the run's data
    exports = _Inside(EXPORTS_NAME)  #: folder of the model in other formats (on request)
    members = _Inside("members")  #: folder of the runs that were trained for an ensemble
    lock = _Inside(".lock")  #: held by the process that trains

    @property
    def name(self) -> str:
        """The folder's name, such as `batchnorm-001`, also where the path is `.`."""
        return self.root.resolve().name

    @property
    def finished(self) -> bool:
        """Whether training is completed and there is a model."""
        return self.model.exists() and not self.state.exists()

    @property
    def resume_command(self) -> str:
        """The command that continues the run."""
        if self.members.is_dir():
            return shell.join(["mnist-cnn", "ensemble", "--resume", str(self.root)])
        return shell.join(["mnist-cnn", "train", "--resume", str(self.root)])

    def read_json(self, path: Path) -> Any:
        """Read one of this run's JSON files.

        Raises:
            RunFolderError: It is missing or not valid JSON.
        """
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunFolderError(
                f"{path} is missing because the run {self.name} is not finished. "
                f"Continue it with: {self.resume_command}"
            ) from None
        except ValueError as error:
            raise RunFolderError(f"{path} is not valid JSON ({error}).") from error


def check_name(name: str) -> None:
    """Check that a name can begin that of a run folder.

    Raises:
        SettingError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise SettingError(f"{name!r} is not a valid run name. Use letters, digits and dashes: it names a folder.")


def valid_name(text: str) -> str:
    """Return the valid name that is most similar to a text, such as the name of a file."""
    longest = _LONGEST - len("-distilled")  # commands add such words
    return re.sub(r"[^\w .+-]+", "-", text).strip("-. +")[:longest] or "run"


def create_run(parent: str | os.PathLike[str], name: str) -> RunFolder:
    """Create the next free folder `parent/NAME-001`, `NAME-002`, …; two processes at once get different ones.

    Raises:
        SettingError: `name` is not a valid folder name.
        WriteError: `parent` cannot be written.
    """
    parent = Path(parent)
    check_name(name)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        number = _last_number(parent, name)
        while True:
            number += 1
            run = RunFolder(parent / f"{name}-{number:03d}")
            with contextlib.suppress(FileExistsError):  # another process was faster: no run is ever overwritten
                run.root.mkdir()
                return run
    except OSError as error:
        raise WriteError(
            f"{parent} cannot contain runs: {error.strerror}. Choose another folder with --runs-dir."
        ) from error


@contextlib.contextmanager
def lock_run(run: RunFolder) -> Iterator[None]:
    """Keep other processes from training the same run, and remove what a killed process left half-written.

    Raises:
        RunFolderError: Another process is training it.
    """
    lock = FileLock(run.lock, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunFolderError(f"another process is training {run.root}. Wait for it, or train a new run.") from None
    try:
        remove_partial(run.root)
        yield
    finally:
        lock.release()  # the file stays: a process that waits for it would otherwise lock a removed file


def discard_run(run: RunFolder) -> None:
    """Remove a run folder into which nothing was written; any other stays."""
    with contextlib.suppress(OSError):
        if [entry.name for entry in run.root.iterdir()] == [run.lock.name]:
            run.lock.unlink()
        run.root.rmdir()


def open_run(path: str | os.PathLike[str]) -> RunFolder:
    """Open an existing run folder.

    Raises:
        RunFolderError: `path` is not a run folder.
    """
    path = Path(path)
    run = RunFolder(path)
    if run.config.exists():
        return run
    if not path.exists():
        siblings = [config.parent.name for config in path.parent.glob(f"*/{CONFIG_NAME}")]
        hint = suggest(path.name, siblings) if siblings else "Give the path that `mnist-cnn train` printed."
        raise RunFolderError(f"there is no run {path}. {hint}")
    raise RunFolderError(
        f"{path} is not a run folder ({CONFIG_NAME} is missing). Give the path that `mnist-cnn train` printed."
    )


def best_epoch(history: Sequence[Mapping[str, Any]], monitor: str) -> int:
    """Return the epoch (1-based) with the best validation result: the earliest of equals, without validation the last.

    Args:
        history: At least one row; values that are not finite numbers are ignored.
        monitor: "loss" (lowest is best) or "accuracy" (highest is best).
    """
    key, sign = f"val_{monitor}", -1 if monitor == "accuracy" else 1
    judged = [row for row in history if isinstance(row.get(key), int | float) and math.isfinite(row[key])]
    chosen = min(judged, key=lambda row: float(sign * row[key])) if judged else history[-1]
    return int(chosen["epoch"])


def _last_number(parent: Path, name: str) -> int:
    numbered = re.compile(re.escape(name) + r"-(\d{3,})")
    matches = (numbered.fullmatch(entry.name) for entry in parent.iterdir())
    return max((int(match[1]) for match in matches if match), default=0)
