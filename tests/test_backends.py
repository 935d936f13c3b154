"""The same recipe trains on Keras' other backends, each in a process of its own, since a process has one backend."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnist_cnn.config import save_config
from mnist_cnn.runs import RunFolder
from training.tiny import tiny_config

TESTS = Path(__file__).parent
SETTINGS = {
    "model.architecture": "batchnorm",
    "model.arguments": {"filters": [4, 4], "dense": 16},
    "training.precision": "auto",
    "optimizer.name": "adamw",
    "optimizer.ema": 0.2,
    "optimizer.schedule": "one-cycle",
    "optimizer.warmup": 0.2,
    "augmentation.rotation": 5.0,
    "training.early_stopping": 5,
}


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_and_prediction_work(tmp_path: Path, backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"BACKEND {backend.upper()} NOT TESTED: pip install '.[{backend}]'")
    save_config(tmp_path / "config.toml", tiny_config(SETTINGS))
    run = RunFolder(tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-m", "training.process", str(run.root), str(tmp_path / "config.toml")],
        cwd=TESTS, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert run.finished
    assert run.read_json(run.environment)["backend"] == backend
    rows = run.read_json(run.history_json)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["loss"] < rows[0]["loss"]
    probabilities = np.array(json.loads(done.stdout)["probabilities"])
    assert probabilities.shape == (8, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert {path.name for path in run.root.iterdir()} >= {"model.keras", "best.keras", "model.weights.h5"}
    assert_opens_here(run, probabilities)


def assert_opens_here(run: RunFolder, probabilities: np.ndarray) -> None:
    """A model saved under one backend opens and says the same under this process's own."""
    from mnist_cnn.evaluation.predictions import predict_images
    from mnist_cnn.models.persistence import open_model
    from training.tiny import digits

    np.testing.assert_allclose(predict_images(open_model(run.model), digits(8).images), probabilities, atol=1e-4)
