"""The same recipe trains on Keras' other backends, each in its own process, since a process has one backend."""

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
from training.tiny import digits, tiny_config

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


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_works_and_the_model_opens_under_this_backend(tmp_path: Path, backend: str) -> None:
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
    losses = [row["loss"] for row in run.read_json(run.history_json)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]

    from mnist_cnn.evaluation.predictions import predict_images
    from mnist_cnn.models.persistence import open_model

    theirs = np.array(json.loads(done.stdout)["probabilities"])
    np.testing.assert_allclose(theirs.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(predict_images(open_model(run.model), digits(8).images), theirs, atol=1e-4)
