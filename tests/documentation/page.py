"""A page of the documentation as a reader works through it: one folder, one machine without a network."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 900  # for one block, on a machine that is busy with other work
_STAND_INS = ("mnist-cnn", "pip", "pip3", "pytest", "python", "python3")
_LEFT_OUT = shutil.ignore_patterns(".git", ".*cache", ".venv*", ".hypothesis", "__pycache__", "build", "dist", "runs")
_ADDRESS = re.compile(r"(\b127\.0\.0\.1:|\blocalhost:|--port[ =])8000\b")
_SILENT = {  # a machine where nothing answers except itself
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
    "BROWSER": "true",
    "COLUMNS": "80",
    "NO_COLOR": "1",
    "PYTHONIOENCODING": "utf-8",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_READERS_OWN = ("MNIST_CNN_", "KERAS_", "XDG_", "PYTHON", "VIRTUAL_ENV", "TF_", "DISPLAY")  # not taken from here


class BlockError(Exception):
    """A block does not do what its page says."""


def find_free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@dataclass
class Page:
    """The folder in which the blocks of one page run, one after the other.

    Attributes:
        path: The page itself.
        place: An empty folder for all that the page writes.
        port: Takes the place of 8000.
        patience: Seconds for one block.
    """

    path: Path
    place: Path
    port: int = field(default_factory=find_free_port)
    patience: float = SECONDS
    _session: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        shutil.copytree(ROOT, self.clone, ignore=_LEFT_OUT, symlinks=True)
        for folder in (self.home, self.state, self.bin):
            folder.mkdir()
        for name in _STAND_INS:
            write_stand_in(self.bin / name)
        if (script := self.clone / ".ci/run").exists():
            script.write_text("#!/bin/sh\n", "utf-8")  # it would run this test again

    @property
    def clone(self) -> Path:
        """The reader's copy of the repository."""
        return self.place / "mnist-cnn"

    @property
    def folder(self) -> Path:
        """The working folder: the repository's root, or the folder of a README."""
        relative = self.path.relative_to(ROOT)
        return self.clone if relative.parts[0] == "docs" else self.clone / relative.parent

    @property
    def home(self) -> Path:
        """The reader's home folder, empty at first."""
        return self.place / "home"

    @property
    def state(self) -> Path:
        """What the stand-ins remember."""
        return self.place / "state"

    @property
    def bin(self) -> Path:
        """The commands that are not what they seem."""
        return self.place / "bin"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the reader's shell."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_READERS_OWN)}
        port = str(self.port)
        path = os.pathsep.join([str(self.bin), str(Path(sys.prefix, "bin")), os.environ["PATH"]])
        own = {"HOME": self.home, "MPLCONFIGDIR": self.place.parent / "matplotlib", "PYTHONPATH": self.clone / "src"}
        own |= {"PAGE_STATE": self.state}
        return kept | _SILENT | {name: str(value) for name, value in own.items()} | {"PATH": path, "PAGE_PORT": port}

    def adapt(self, source: str) -> str:
        """Replace port 8000, which may be taken on this machine."""
        return _ADDRESS.sub(rf"\g<1>{self.port}", source)

    def run_shell(self, source: str) -> tuple[int, str]:
        """Run commands with bash; give the exit code and both streams together."""
        command = ["bash", "-euo", "pipefail", "-c", self.adapt(source)]
        log = self.state / "output.txt"  # a file: a server in the background would keep a pipe open
        with log.open("w+", encoding="utf-8") as output:
            shell = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = shell.wait(self.patience)
            except BaseException:  # also Ctrl-C and pytest's own timeout
                kill_session(shell.pid)
                raise
        return code, log.read_text("utf-8", errors="replace")

    def run_python(self, source: str, line: int) -> None:
        """Run Python code in the page's own interpreter, which remembers names from block to block.

        Args:
            source: The code.
            line: Where it begins in the page, for tracebacks.

        Raises:
            BlockError: The code raised an exception.
        """
        session = self._session or self._start_session()
        assert session.stdin is not None
        assert session.stdout is not None
        request = {"source": "\n" * (line - 1) + self.adapt(source), "name": str(self.path)}
        session.stdin.write(json.dumps(request) + "\n")
        session.stdin.flush()
        answer = session.stdout.readline()
        if not answer:
            raise BlockError("The interpreter ended.")
        if problem := json.loads(answer):
            raise BlockError(problem)

    def close(self) -> None:
        """Stop the page's server and its interpreter."""
        if self._session:
            kill_session(self._session.pid)
            self._session.wait()
        with contextlib.suppress(FileNotFoundError):
            kill_session(int((self.state / "server.pid").read_text("utf-8")))

    def _start_session(self) -> subprocess.Popen[str]:
        self._session = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("session.py"))],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self._session


def kill_session(leader: int) -> None:
    """Kill a process that was started in its own session, and those that it started there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def write_stand_in(path: Path) -> None:
    """Write a command that hands its words to `stand_in.py`."""
    script = Path(__file__).with_name("stand_in.py")
    path.unlink(missing_ok=True)
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {script} {path.name} "$@"\n', "utf-8")
    path.chmod(0o755)
