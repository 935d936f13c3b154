"""The servers that are compared, each in its own processes."""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

OWN, PLAIN, BENTO, NOTHING = "`mnist-cnn serve`", "plain FastAPI route", "BentoML", "(the client alone)"

_HERE = Path(__file__).parent
_STARTING = 60.0  # seconds, for a server to be ready


@dataclass
class Server:
    """One server, and how to send it requests."""

    name: str
    version: str
    command: list[str]  # "PORT" is replaced by the port
    ready: str = "/"  # path that answers 200 once the server is ready
    content_type: str = "image/png"
    body: Callable[[bytes], bytes] = bytes  # of a request, from an image file
    digit: Callable[[Any], int] = lambda answer: int(answer["digit"])  # from its answer
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    processes: list[psutil.Process] = field(default_factory=list)

    def requests(self, files: list[bytes]) -> list[bytes]:
        """Write whole requests, byte for byte."""
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: {self.content_type}\r\n"
        bodies = map(self.body, files)
        return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]

    def read(self, file: bytes) -> int:
        """Ask for the digit of one image."""
        status, answer = self._ask("POST", "/predict", self.body(file))
        if status != 200:
            sys.exit(f"{self.name} answered {status}: {answer.decode()[:500]}")
        return self.digit(json.loads(answer))

    def cpu_seconds(self) -> float:
        """Give its processor time so far, seconds."""
        times = [each.cpu_times() for each in self.processes]
        return sum(each.user + each.system for each in times)

    def resident(self) -> int:
        """Give its memory, bytes."""
        return sum(each.memory_info().rss for each in self.processes)

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """Start it, wait until it is ready, and stop it at the end."""
        self.port = _free_port()
        command = [str(self.port) if word == "PORT" else word for word in self.command]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command, env=os.environ | self.environment, cwd=_HERE.parent, stdout=subprocess.DEVNULL, stderr=log
            )
            try:
                self._await(process, log)
                time.sleep(1)  # until all workers have started
                family = psutil.Process(process.pid)
                self.processes = [family, *family.children(recursive=True)]
                yield self
            finally:
                process.terminate()
                process.wait()

    def _await(self, process: subprocess.Popen[bytes], log: Any) -> None:
        end = time.monotonic() + _STARTING
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._ask("GET", self.ready)[0] == 200:
                    return
            time.sleep(0.05)
        log.seek(0)
        sys.exit(f"{self.name} did not start: {log.read().decode()[-2000:]}")

    def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, {"Content-Type": self.content_type})
            answer = connection.getresponse()
            return answer.status, answer.read()


def own_server(workers: int = 1, **settings: str) -> Server:
    """Give our own server."""
    command = [sys.executable, "-m", "mnist_cnn", "serve", "--port", "PORT", "--workers", str(workers)]
    return Server(
        OWN,
        importlib.metadata.version("mnist-cnn"),
        command,
        "/health/ready",
        digit=lambda answer: int(answer["predictions"][0]["digit"]),
        environment={f"MNIST_CNN_SERVE_{name.upper()}": value for name, value in settings.items()},
    )


def plain_server() -> Server:
    """Give one FastAPI route without batching, under the same Granian with the same loop, and no log."""
    options = ["--interface", "asgi", "--no-ws", "--http", "1", "--runtime-mode", "st", "--backpressure", "1024"]
    command = [sys.executable, "-m", "granian", *options, "--port", "PORT", "serving.plain:app"]
    return Server(PLAIN, importlib.metadata.version("fastapi"), command, "/ready")


def bento_server(python: Path) -> Server:
    """Give BentoML from another environment, with this source tree."""
    import mnist_cnn

    find = "import importlib.metadata as found; print(found.version('bentoml'))"
    version = subprocess.run([python, "-c", find], capture_output=True, text=True, check=True).stdout.strip()
    return Server(
        BENTO,
        version,
        [str(python), "-m", "bentoml", "serve", "serving.bento:Digits", "--host", "127.0.0.1", "--port", "PORT"],
        "/readyz",
        "application/json",
        lambda file: json.dumps({"images": [base64.b64encode(file).decode()]}).encode(),
        lambda answer: int(answer[0]["digit"]),
        {
            "PYTHONPATH": str(Path(mnist_cnn.__file__).parents[1]),
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_HOME": tempfile.gettempdir() + "/bentoml",
        },
    )


def no_server() -> Server:
    """Give a server that answers without reading anything."""
    return Server(NOTHING, "", [sys.executable, "-m", "serving.nothing", "PORT"])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
