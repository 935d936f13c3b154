"""Runs that are killed, as by a power cut, and resume: no finished epoch is lost, repeated or different."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import pytest

from mnist_cnn.config import save_config
from mnist_cnn.runs import RunFolder
from training.tiny import tiny_config

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[1]

# Everything that could make a resumed run differ is switched on, and each callback's patience runs out along the way.
EVERYTHING = {
    "training.deterministic": True,
    "training.epochs": 12,
    "training.early_stopping": 2,
    "training.reduce_on_plateau": 1,
    "training.seed": 4,
    "data.split_seed": 4,
    "optimizer.learning_rate": 0.01,
    "optimizer.ema": 0.05,
    "augmentation.rotation": 10.0,
    "augmentation.elastic": 0.5,
    "model.architecture": "batchnorm",
    "model.arguments": {"filters": [4, 4], "dense": 16, "dropout": 0.5},
}


def train_in_a_process(run: RunFolder, config: Path, *death: str) -> int:
    command = [sys.executable, "-m", "training.process", str(run.root), str(config), *death]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def history(run: RunFolder) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run.history_json.read_text())
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    save_config(path, tiny_config(EVERYTHING))
    return path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, config: Path) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("runs") / "whole")
    assert train_in_a_process(run, config) == 0
    return run


def test_a_run_killed_repeatedly_equals_the_uninterrupted_one(
    tmp_path: Path, config: Path, uninterrupted: RunFolder
) -> None:
    expected = history(uninterrupted)
    assert len({row["learning_rate"] for row in expected}) > 1, "the plateau rule must have been at work"
    assert 3 < len(expected) < 12, "early stopping must have been at work"

    run, last = RunFolder(tmp_path / "killed"), len(expected)
    assert train_in_a_process(run, config, "in-epoch", "1") == -signal.SIGKILL
    assert not run.history_json.exists()
    # Before the last epoch there was a bad one: patience must remember it, or training continues for longer.
    assert train_in_a_process(run, config, "in-epoch", str(last)) == -signal.SIGKILL
    assert history(run) == expected[:-1]
    assert train_in_a_process(run, config, "after-state", str(last)) == -signal.SIGKILL
    assert not run.finished
    assert train_in_a_process(run, config) == 0
    assert history(run) == expected
    assert run.finished
    for name in ("model", "best_checkpoint", "weights"):
        ours, theirs = getattr(run, name), getattr(uninterrupted, name)
        assert weights_of(ours) == weights_of(theirs), name


def weights_of(path: Path) -> dict[str, bytes]:
    """Return every array in a model or weights file."""
    found: dict[str, bytes] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    source: Any = path
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(source, "r") as file:
        file.visititems(note)
    assert found
    return found
