"""A real server, as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_cnn.server.settings import PREFIX

_PATIENCE = 60.0  # seconds, on a busy machine


class LiveServer:
    """`mnist-cnn serve` on a free port; a context that stops it.

    Attributes:
        process: The parent of the workers.
        url: Where it listens, without a slash at the end.
    """

    def __init__(
        self, folder: Path, command: Sequence[str] = ("-m", "mnist_cnn"), options: Sequence[str] = (), **settings: Any
    ) -> None:
        self._log = folder / f"server-{time.monotonic_ns()}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        environment |= {PREFIX + key.upper(): str(value) for key, value in settings.items()}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command, "serve", "--port", "0", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
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
