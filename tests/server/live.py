"""A real server, as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from mnist_cnn.server.settings import PREFIX, Settings

_PATIENCE = 60.0  # seconds, on a busy machine


class LiveServer:
    """`python -m mnist_cnn.server` on a free port; a context that stops it.

    Attributes:
        process: The server's, or that of its workers' parent.
        url: Where it listens, without a slash at the end.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._log = folder / f"server-{time.monotonic_ns()}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mnist_cnn.server"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment | settings.to_environment(),
            )
        self.url = self._await_address()

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self.url.rpartition(":")[2])

    @property
    def output(self) -> str:
        """All that it has printed: its log, and its errors."""
        return self._log.read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and give the exit code; also of a server that has ended already."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(_PATIENCE)
        finally:
            self.process.kill()

    def _await_address(self) -> str:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"Listening on (http\S+)", self.output)
            if found:
                return found[1]
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"the server did not start:\n{self.output}")
