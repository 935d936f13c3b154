"""A search over tiny networks, in which a trial takes a second or two."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from late import Late
from mnist_cnn.datasets import ResolvedDataset, load_dataset
from mnist_cnn.tuning.declaration import parse_space
from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.space import suggest_settings
from training.tiny import tiny_config

if TYPE_CHECKING:
    from mnist_cnn.tuning.results import TrialResult

SPACE = {
    "settings": {
        "optimizer.learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
        "training.batch_size": {"choices": [32, 64]},
        "model.arguments.filters": [{"low": 2, "high": 6, "step": 2}, {"low": 4, "high": 8, "step": 4}],
        "model.arguments.dense": {"low": 8, "high": 16},
    }
}


def small_plan(settings: dict[str, Any] | None = None, space: dict[str, Any] | None = None, **fields: Any) -> Plan:
    """Return the plan of a tiny search, with settings of its base and fields of its own replaced."""
    return Plan(
        **{
            "name": "small",
            "base": tiny_config({"training.epochs": 2, **(settings or {})}),
            "space": parse_space(space or SPACE, "small"),
            "data_checksum": load_dataset("digits").checksum(),
            **fields,
        }
    )


@functools.cache
def _empty_database() -> bytes:
    """Return a database with Optuna's tables, which take longer to create than to copy."""
    with tempfile.TemporaryDirectory() as root:
        folder = TuningFolder(Path(root))
        Late("mnist_cnn.tuning.storage").open_storage(folder, heartbeat=1)
        return folder.database.read_bytes()


def small_search(root: Path, plan: Plan | None = None) -> TuningFolder:
    """Create a search in `root`, without running it."""
    folder = TuningFolder(root)
    root.mkdir(parents=True, exist_ok=True)
    folder.database.write_bytes(_empty_database())
    Late("mnist_cnn.tuning.study").create_study(plan or small_plan(), folder, ResolvedDataset("digits"))
    return folder


def add_trial(folder: TuningFolder, *values: float, **attributes: Any) -> None:
    """Add a complete trial that was not trained."""
    studies = Late("mnist_cnn.tuning.study")
    study = studies.open_study(folder)
    trial = study.ask()
    settings = suggest_settings(studies.open_plan(folder).space, trial)
    for name, value in {"settings": settings, **attributes}.items():
        trial.set_user_attr(name, value)
    study.tell(trial, values)


def start_worker(folder: TuningFolder, bounds: Any) -> subprocess.Popen[bytes]:
    """Start a worker process, which logs to the folder."""
    environment = Late("mnist_cnn.tuning.bounds").write_environment(bounds, folder.url)
    with folder.worker_log(0).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "mnist_cnn.tuning.worker", str(folder.root)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}, stdout=log, stderr=log,
        )  # fmt: skip


def wait_until(condition: Callable[[], Any], seconds: float = 120) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def beginnings(trial: TrialResult) -> int:
    """Count how often a trial's training started from the beginning."""
    return len(re.findall(" began ", (trial.run / "log.txt").read_text()))
