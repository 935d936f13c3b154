"""The layout of a search folder such as `runs/tuning-001/`: its plan, study, run folders, best recipe and report."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mnist_cnn.datasets import ResolvedDataset
from mnist_cnn.environment import shell
from mnist_cnn.errors import RunFolderError
from mnist_cnn.files import write_json
from mnist_cnn.runs import RunFolder


class TuningFolder:
    """Paths inside the folder of one search."""

    def __init__(self, root: Path, url: str = "") -> None:
        """Name the paths.

        Args:
            root: The folder.
            url: Of the database server, with its password, which is not saved; empty for what `study.json` says.
        """
        self.root = root
        self.url = url
        self.plan = root / "study.json"  # plan and limits: everything apart from the study that resuming needs
        self.database = root / "study.db"  # the study in Optuna's SQLite form, unless it is on a server
        self.clock = root / "clock.json"  # how long the search has run on this machine, over all sessions
        self.best = root / "best.toml"  # the best configuration so far, as a recipe
        self.report = root / "report.html"
        self.figures = root / "figures"  # the report's pictures
        self.claim = root / ".claim.lock"  # held by the worker that is starting a trial
        self.lock = root / ".lock"  # held by the process that leads the search

    @property
    def dashboard_command(self) -> str:
        """The command that shows the study in a browser."""
        return shell.join(["optuna-dashboard", f"sqlite:///{self.database}"])

    @property
    def train_command(self) -> str:
        """The command that trains the best configuration."""
        data_dir = self.find_data().data_dir
        return shell.join(
            ["mnist-cnn", "train", "--recipe", str(self.best), *(["--data-dir", str(data_dir)] if data_dir else [])]
        )

    @property
    def place(self) -> str:
        """A name for this folder that is unique among all machines, wherever the folder is moved."""
        return str(self.read_plan()["place"])

    @property
    def storage(self) -> str:
        """The saved address of the database server, without a password; empty if the study is in this folder."""
        return str(self.read_plan()["storage"])

    @property
    def server(self) -> str:
        """The address of the database server, with the password if that was given; empty as for `storage`."""
        return self.url or (self.storage if self.plan.exists() else "")

    @property
    def resume_command(self) -> str:
        """The command that continues the search."""
        storage = ["--storage", self.storage] if self.storage else []
        return shell.join(["mnist-cnn", "tune", "--resume", str(self.root), *storage])

    def trial(self, name: str) -> RunFolder:
        """Return the run folder of a trial, such as `0007`."""
        return RunFolder(self.root / "trials" / name)

    def front(self, number: int) -> Path:
        """Return the recipe of a trial on the Pareto front."""
        return self.root / "front" / f"{number:04d}.toml"

    def confirmation(self, name: str) -> RunFolder:
        """Return the run folder of a network trained on all training images, such as `trial-0007-seed-1`."""
        return RunFolder(self.root / "confirmation" / name)

    def worker_log(self, index: int) -> Path:
        """What worker `index` printed."""
        return self.root / f"worker-{index + 1}.log"

    def find_data(self) -> ResolvedDataset:
        """Return the data set as this machine found it."""
        local = self.read_plan()
        return ResolvedDataset(local["dataset"], Path(local["data_dir"]) if local["data_dir"] else None)

    def seconds_used(self) -> float:
        """Return how long the search has run, over all sessions."""
        try:
            return float(json.loads(self.clock.read_text(encoding="utf-8"))["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0  # only the remaining time depends on it

    def save_seconds(self, seconds: float) -> None:
        """Save how long the search has run."""
        write_json(self.clock, {"seconds": seconds})

    def read_plan(self) -> dict[str, Any]:
        """Read `study.json`.

        Raises:
            RunFolderError: It is missing or damaged.
        """
        if not self.plan.exists():
            raise RunFolderError(
                f"{self.root} is not a search folder ({self.plan.name} is missing). Give the folder that `tune` named."
            )
        try:
            plan: dict[str, Any] = json.loads(self.plan.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.plan} cannot be read ({error}). Restore it, or start a new search.") from error
        return plan


@contextlib.contextmanager
def lead(folder: TuningFolder) -> Iterator[None]:
    """Keep other processes from leading the same search.

    Raises:
        RunFolderError: Another process leads it.
    """
    try:
        with FileLock(folder.lock, timeout=0):
            yield
    except Timeout:
        raise RunFolderError(
            f"another process is searching in {folder.root}. Wait until it ends, or start a new search."
        ) from None


def is_at_work(run: RunFolder) -> bool:
    """Whether a living process on this machine trains this run; the system releases the locks of dead ones."""
    if not run.root.exists():
        return False
    try:
        with FileLock(run.lock, timeout=0):
            return False
    except Timeout:
        return True
