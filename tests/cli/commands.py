"""Ways to run the command line in tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnist_cnn.cli.app import main

COMMAND = [sys.executable, "-m", "mnist_cnn"]
TINY = ["--recipe", "conv3", "--dataset", "digits", "--epochs", "2", "--set", "model.arguments.filters=[4, 8, 8]"]


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run a command in this process, to import Keras once; give exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return int(exit_.value.code or 0), printed.out, printed.err


def run_command(*words: object, folder: Path, seconds: int = 240) -> Any:
    """Run a command in a process of its own, as a user does."""
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds)


def start(*words: object, folder: Path) -> subprocess.Popen[str]:
    """Start a command in a process of its own, with pipes."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell ignores Ctrl-C, and so would the processes that it starts, these tests included.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
