"""A real PostgreSQL server for the tests alone, which is removed after them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "s3cret-Kö/nig@"  # with characters that an address has to quote
_QUOTED = "s3cret-K%C3%B6%2Fnig%40"


@dataclass(frozen=True)
class Server:
    """A server that listens on this machine only."""

    programs: Path
    root: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{_QUOTED}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = f"-p {self.port} -k {self.root} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.control("start", "-w", "-l", str(self.root / "log"), "-o", settings)

    def stop(self) -> None:
        self.control("stop", "-m", "immediate")

    def control(self, *words: str) -> None:
        _run(self.programs / "pg_ctl", "-D", str(self.root / "data"), *words)


@contextlib.contextmanager
def run_server() -> Iterator[Server]:
    """Run a server, or skip with a message if PostgreSQL is not installed."""
    programs = _find_programs()
    if programs is None or not _may_run():
        pytest.skip("POSTGRESQL NOT TESTED: it is not installed; on Debian: apt-get install postgresql")
    root = Path(tempfile.mkdtemp(prefix="mnist-cnn-postgresql-"))
    server = Server(programs, root, _free_port())
    try:
        (root / "password").write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            for path in (root, root / "password"):
                shutil.chown(path, "postgres", "postgres")
        access = ("--auth=scram-sha-256", "--username=postgres", f"--pwfile={root / 'password'}")
        _run(programs / "initdb", "-D", str(root / "data"), "--no-sync", "--encoding=UTF8", "--locale=C", *access)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root)


def _find_programs() -> Path | None:
    found = [shutil.which("initdb"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)]
    return next((Path(path).parent for path in found if path), None)


def _may_run() -> bool:
    # PostgreSQL refuses to run as root; its package brings a user for it.
    return os.geteuid() != 0 or any(user.pw_name == "postgres" for user in pwd.getpwall())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(program: Path, *words: str) -> None:
    other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*other, str(program), *words], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
