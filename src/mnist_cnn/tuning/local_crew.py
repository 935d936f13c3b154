"""The workers of a search on this machine: processes that the leader starts, replaces and ends."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from mnist_cnn.cluster.tasks import thread_settings
from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.tuning.bounds import Bounds, Limits, write_environment
from mnist_cnn.tuning.search_folder import TuningFolder

_LAST_WORDS = 120.0  # seconds that a worker gets to finish its step and save
_REPLACEMENTS = 10  # how many dead workers are replaced
_BEGINS = "worker begins"  # the end of the line that separates sessions in a worker's log


@contextlib.contextmanager
def local_crew(folder: TuningFolder, limits: Limits, bounds: Bounds) -> Iterator[LocalCrew]:
    """Start the workers of a search on this machine; end them with the block."""
    crew = LocalCrew(folder, _environment(limits, bounds, folder.url))
    try:
        for index in range(limits.workers):
            crew.start(index)
        yield crew
    finally:
        crew.end()


@dataclass
class LocalCrew:
    """The workers of this machine."""

    folder: TuningFolder
    environment: dict[str, str]
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)  # by index
    replaced: int = 0

    def start(self, index: int) -> None:
        """Start a worker in its own session, so that Ctrl-C reaches it through its leader only."""
        with self.folder.worker_log(index).open("ab") as log:
            log.write(f"{dt.datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {_BEGINS}\n".encode())
            log.flush()
            self.processes[index] = subprocess.Popen(
                [sys.executable, "-m", "mnist_cnn.tuning.worker", str(self.folder.root)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_busy(self) -> bool:
        """Replace workers that were killed, and say whether any worker is left.

        Raises:
            MnistCnnError: A worker gave up, or too many were killed.
        """
        for index, process in list(self.processes.items()):
            code = process.poll()
            if code is None:
                continue
            del self.processes[index]
            if code > 0:
                raise MnistCnnError(f"worker {index + 1} gave up: {_last_line(self.folder, index)}")
            if code < 0:  # killed by a signal, such as the kernel's when memory runs out
                self._replace(index, -code)
        return bool(self.processes)

    def end(self) -> None:
        """Let every worker save its work and exit; kill those that take too long."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _LAST_WORDS
        try:
            for process in self.processes.values():
                process.wait(max(0.0, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for process in self.processes.values():
                process.kill()
                process.wait()

    def _replace(self, index: int, number: int) -> None:
        self.replaced += 1
        if self.replaced > _REPLACEMENTS:
            raise MnistCnnError(
                f"{self.replaced} workers were killed, the last one by signal {number}. Check that there is enough "
                f"memory, and see {self.folder.worker_log(index)}."
            )
        self.start(index)


def _environment(limits: Limits, bounds: Bounds, url: str) -> dict[str, str]:
    """Return the environment of the workers; each has its share of the cores."""
    shares = thread_settings(max(1, usable_cores() // limits.workers)) if limits.workers > 1 else {}
    leader = dataclasses.replace(bounds, leader=os.getpid())
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**quiet, **os.environ, **shares, **write_environment(leader, url)}


def _last_line(folder: TuningFolder, index: int) -> str:
    last = folder.worker_log(index).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
    return "it printed nothing" if last.endswith(_BEGINS) else last
