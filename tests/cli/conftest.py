"""Fixtures of the command line's tests."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from cli.commands import TINY
from mnist_cnn.cli.app import main


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A tiny run with its report, made by `mnist-cnn train`, and the JSON object that it printed."""
    printed = io.StringIO()
    words = ["train", *TINY, "--runs-dir", str(tmp_path_factory.mktemp("runs")), "--json"]
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        main(words)
    record = json.loads(printed.getvalue())
    return Path(record["run"]), record


@pytest.fixture(scope="session")
def run(trained: tuple[Path, dict[str, Any]]) -> Path:
    """The folder of that run."""
    return trained[0]
