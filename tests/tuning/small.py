"""A search over tiny networks, in which a trial takes a second or two."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mnist_cnn.datasets import load_dataset
from mnist_cnn.tuning.declaration import parse_space
from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.study import create_study
from training.tiny import tiny_config

SPACE = {
    "settings": {
        "optimizer.learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
        "training.batch_size": {"choices": [32, 64]},
        "model.arguments.filters": [{"low": 2, "high": 6, "step": 2}, {"low": 4, "high": 8, "step": 4}],
        "model.arguments.dense": {"low": 8, "high": 16},
    }
}


def small_plan(settings: dict[str, Any] | None = None, space: dict[str, Any] | None = None, **fields: Any) -> Plan:
    """Give the plan of a tiny search, with settings of its base and fields of its own replaced."""
    return Plan(
        **{
            "name": "small",
            "base": tiny_config({"training.epochs": 2, **(settings or {})}),
            "space": parse_space(space or SPACE, "small"),
            "data_checksum": load_dataset("digits").checksum(),
            **fields,
        }
    )


def small_search(root: Path, plan: Plan | None = None) -> TuningFolder:
    """Begin a search in `root`, without running it."""
    folder = TuningFolder(root)
    root.mkdir(parents=True, exist_ok=True)
    create_study(plan or small_plan(), folder, local={"dataset": "digits", "data_dir": None})
    return folder


def worker_command(folder: TuningFolder) -> list[str]:
    """Give the command that starts a worker."""
    return [sys.executable, "-m", "mnist_cnn.tuning.worker", str(folder.root)]
