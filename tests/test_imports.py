"""The walls between the rooms that cost seconds when they fall: what `import` pulls in."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import mnist_cnn

HEAVY = {"tensorflow", "keras", "jax", "torch", "matplotlib", "scipy", "sklearn", "httpx", "jinja2"}
LIGHT_MODULES = ["mnist_cnn", "mnist_cnn.config", "mnist_cnn.datasets", "mnist_cnn.runs", "mnist_cnn.cli",
                 "mnist_cnn.training.listener"]  # fmt: skip


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_importing_costs_no_heavy_library(module: str) -> None:
    command = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout
    assert module in loaded.split()
    assert not HEAVY & {name.partition(".")[0] for name in loaded.split()}


@pytest.mark.parametrize("module", ["mnist_cnn", "mnist_cnn.datasets", "mnist_cnn.figures"])
def test_every_public_name_is_there(module: str) -> None:
    package = importlib.import_module(module)
    for name in getattr(package, "__all__", []):
        assert getattr(package, name) is not None
    assert mnist_cnn.__name__ == "mnist_cnn"
