"""The folder of a search: what it was told, the study's file, run folders, the best recipe, the report.

The layout of `runs/tuning-001/` is written down here and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mnist_cnn.errors import RunFolderError
from mnist_cnn.files import write_json
from mnist_cnn.runs import RunFolder


@dataclass(frozen=True)
class TuningFolder:
    """Paths inside the folder of one search."""

    root: Path

    @property
    def plan(self) -> Path:
        """What is searched, how, and for how long: everything that resuming needs besides the study."""
        return self.root / "study.json"

    @property
    def database(self) -> Path:
        """The study in Optuna's SQLite form, where it is not kept on a server; optuna-dashboard opens it."""
        return self.root / "study.db"

    @property
    def dashboard_command(self) -> str:
        """What shows the study in a browser; of a database file, optuna-dashboard wants the address."""
        return f"optuna-dashboard sqlite:///{self.database}"

    @property
    def clock(self) -> Path:
        """How long the search has been running on this machine, over all sessions."""
        return self.root / "clock.json"

    @property
    def best(self) -> Path:
        """The best configuration so far, as a recipe."""
        return self.root / "best.toml"

    @property
    def report(self) -> Path:
        """The self-contained page."""
        return self.root / "report.html"

    @property
    def figures(self) -> Path:
        """Folder of the page's pictures."""
        return self.root / "figures"

    @property
    def claim(self) -> Path:
        """Locked by the worker that is beginning a trial, so that no other does at the same moment."""
        return self.root / ".claim.lock"

    @property
    def lock(self) -> Path:
        """Held by the process that leads the search."""
        return self.root / ".lock"

    @property
    def place(self) -> str:
        """Name this folder among those of all machines that share a study, wherever it is moved to."""
        return str(self.read_plan()["place"])

    @property
    def storage(self) -> str:
        """Address of the server that has the study, without a password; empty where the study is in this folder."""
        return str(self.read_plan()["storage"])

    @property
    def resume_command(self) -> str:
        """What to type to go on with the search."""
        storage = ["--storage", self.storage] if self.storage else []
        return shlex.join(["mnist-cnn", "tune", "--resume", str(self.root), *storage])

    def trial(self, name: str) -> RunFolder:
        """Give the run folder of a trial, such as `0007`."""
        return RunFolder(self.root / "trials" / name)

    def front(self, number: int) -> Path:
        """Give the recipe of a trial on the Pareto front."""
        return self.root / "front" / f"{number:04d}.toml"

    def confirmation(self, name: str) -> RunFolder:
        """Give the run folder of a network trained on all training images, such as `trial-0007-seed-1`."""
        return RunFolder(self.root / "confirmation" / name)

    def worker_log(self, index: int) -> Path:
        """What worker `index` printed."""
        return self.root / f"worker-{index + 1}.log"

    def seconds_used(self) -> float:
        """Give how long the search has been running, over all sessions."""
        try:
            return float(json.loads(self.clock.read_text(encoding="utf-8"))["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0  # nothing depends on it but how long the search goes on

    def save_seconds(self, seconds: float) -> None:
        """Remember how long the search has been running."""
        write_json(self.clock, {"seconds": seconds})

    def read_plan(self) -> dict[str, Any]:
        """Read back what `study.json` says.

        Raises:
            RunFolderError: It is missing or damaged.
        """
        if not self.plan.exists():
            raise RunFolderError(
                f"{self.root} is no search: it holds no {self.plan.name}. Give the folder that `tune` named."
            )
        try:
            plan: dict[str, Any] = json.loads(self.plan.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.plan} cannot be read ({error}). Restore it, or begin a new search.") from error
        return plan


@contextlib.contextmanager
def lead(folder: TuningFolder) -> Iterator[None]:
    """Keep other processes from leading the same search.

    Raises:
        RunFolderError: Another process is at it.
    """
    try:
        with FileLock(folder.lock, timeout=0):
            yield
    except Timeout:
        raise RunFolderError(
            f"another process is searching in {folder.root}. Wait for it, or begin a new search."
        ) from None


def is_at_work(run: RunFolder) -> bool:
    """Say whether a living process on this machine trains this run: the system frees the locks of dead ones."""
    if not run.root.exists():
        return False
    try:
        with FileLock(run.lock, timeout=0):
            return False
    except Timeout:
        return True
