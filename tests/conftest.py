"""Fixtures for all tests: the real MNIST, a machine without data and network, and a network for numbers."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import hypothesis
import pytest

# No deadline, because a busy machine is not a bug; always the same examples, so that failures can be repeated.
hypothesis.settings.register_profile("mnist-cnn", deadline=None, derandomize=True)
hypothesis.settings.load_profile("mnist-cnn")

_DATA = os.environ.get("MNIST_CNN_DATA")  # read before any test changes the environment


def pytest_configure() -> None:
    """Let Ctrl-C interrupt the programs under test, also if a shell started the tests in the background without it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder with the four real MNIST files."""
    if not _DATA:
        pytest.skip("REAL MNIST NOT TESTED: set MNIST_CNN_DATA to the folder that contains MNIST's four IDX files")
    for folder in (Path(_DATA).absolute(), Path(_DATA).absolute() / "mnist"):
        if any(folder.glob("t10k-images*")):
            return folder
    pytest.skip(f"REAL MNIST NOT TESTED: MNIST_CNN_DATA={_DATA} does not contain t10k-images-idx3-ubyte.gz")


@pytest.fixture(scope="session")
def bars_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a network that reads bars in place of digits; it needs no training."""
    from reading.numbers import bars

    path = tmp_path_factory.mktemp("model") / "bars.onnx"
    path.write_bytes(bars.make())
    return path


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty home, cache and working folder, and without mirrors; returns its root."""
    from mnist_cnn.datasets.registry import SOURCES

    for variable in ("MNIST_CNN_DATA", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MNIST_CNN_CACHE", str(tmp_path / "cache"))
    for name, source in SOURCES.items():
        monkeypatch.setitem(SOURCES, name, dataclasses.replace(source, mirrors=()))
    return tmp_path
