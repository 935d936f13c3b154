"""The walls between the rooms that cost seconds when they fall: what `import` pulls in."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

import mnist_cnn

HEAVY = {"tensorflow", "keras", "jax", "torch", "matplotlib", "scipy", "sklearn", "httpx", "jinja2"}
LIGHT_MODULES = ["mnist_cnn", "mnist_cnn.config", "mnist_cnn.datasets", "mnist_cnn.runs", "mnist_cnn.cli",
                 "mnist_cnn.training.listener", "mnist_cnn.reading.ink", "mnist_cnn.reading.recognizer",
                 "mnist_cnn.cli.predict"]  # fmt: skip


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_importing_costs_no_heavy_library(module: str) -> None:
    command = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout
    assert module in loaded.split()
    assert not HEAVY & {name.partition(".")[0] for name in loaded.split()}


def test_reading_needs_nothing_of_the_training_side() -> None:
    """With every module of the training side blocked, the weights that ship read a digit."""
    ours = [f"mnist_cnn.{name}" for name in ("config", "datasets", "models", "runs", "training", "export", "cli")]
    blocked = [*HEAVY, *ours, "pydantic", "rich", "typer", "onnx", "h5py", "filelock", "psutil"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import numpy as np\n"
        "from mnist_cnn import Recognizer\n"
        "image = np.full((60, 40), 255, np.uint8); image[10:50, 18:23] = 0\n"
        "print(Recognizer.load().read(image).label)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "1\n"


# Every module that imports ONNX Runtime, also by way of others.
WITH_ONNX_RUNTIME = [
    "reading.recognizer",
    "reading.recognizer.network",
    "tuning.cost",
    "export.quantisation",
    "classifier",
    "server.model",
]


@pytest.mark.parametrize("module", WITH_ONNX_RUNTIME)
@pytest.mark.parametrize("chosen", [None, "0"])
def test_onnx_runtime_is_loaded_with_its_telemetry_off(module: str, chosen: str | None) -> None:
    """In a fresh process, whichever module comes first; what the user has set stays."""
    program = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'onnxruntime': print(os.environ.get('ORT_DISABLE_TELEMETRY'), flush=True)\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"import mnist_cnn.{module}"
    )
    variables = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    variables |= {"ORT_DISABLE_TELEMETRY": chosen} if chosen else {}
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=variables)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == [chosen or "1"]


@pytest.mark.parametrize(
    "module", ["mnist_cnn", "mnist_cnn.datasets", "mnist_cnn.evaluation.figures", "mnist_cnn.reading.recognizer"]
)
def test_every_public_name_is_there(module: str) -> None:
    package = importlib.import_module(module)
    for name in getattr(package, "__all__", []):
        assert getattr(package, name) is not None
    assert mnist_cnn.__name__ == "mnist_cnn"
