"""The leader of a search: starts workers, watches the study, writes the best recipe, stops in time."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mnist_cnn.config import save_config
from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.tuning.bounds import Bounds, Limits, save_limits, write_environment
from mnist_cnn.tuning.results import StudyResults, best_config, collect
from mnist_cnn.tuning.search_folder import TuningFolder, lead
from mnist_cnn.tuning.storage import explain_loss
from mnist_cnn.tuning.study import open_plan, open_study

_LOOK = 1.0  # seconds between two looks at the study
_LAST_WORDS = 120.0  # seconds that a worker gets to finish its step and save
_REPLACEMENTS = 10  # how many dead workers are replaced
_BEGINS = "worker begins"  # the end of the line that separates sessions in a worker's log


@dataclass
class _Crew:
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


def search(
    folder: TuningFolder, limits: Limits, *, on_look: Callable[[StudyResults], None] = lambda _: None
) -> StudyResults:
    """Search until the limits are reached.

    Args:
        folder: Of a study that was created or joined; an earlier search continues.
        limits: How long, over all sessions; saved for the next session.
        on_look: Receives the state of the study once a second.

    Returns:
        The final state of the study; the best recipe is in `folder.best`.

    Raises:
        RunFolderError: The folder is not a search folder, or another process searches in it.
        MnistCnnError: No trial succeeds, workers are killed again and again, or the database is lost.
        KeyboardInterrupt: Ctrl-C; all results so far are kept.
    """
    plan, study = open_plan(folder), open_study(folder)
    noted = -1

    def look() -> StudyResults:
        nonlocal noted
        results = collect(study, plan, folder)
        if results.best and results.best.number != noted:
            save_config(folder.best, best_config(results, plan))
            noted = results.best.number
        on_look(results)
        return results

    with lead(folder), explain_loss(folder):
        save_limits(folder, limits)
        began = time.monotonic() - folder.seconds_used()
        seconds = limits.seconds - folder.seconds_used()
        crew = _Crew(folder, _environment(limits, seconds, folder.url))
        try:
            for index in range(limits.workers if seconds > 0 else 0):
                crew.start(index)
            while crew.is_busy():
                look()
                folder.save_seconds(time.monotonic() - began)
                time.sleep(_LOOK)
        finally:
            crew.end()
            folder.save_seconds(time.monotonic() - began)
            results = look()
    return results


def _environment(limits: Limits, seconds: float, url: str) -> dict[str, str]:
    """Return the environment of the workers; each has its share of the cores."""
    threads = str(max(1, usable_cores() // limits.workers))
    shares = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads)
    bounds = Bounds(trials=limits.trials, deadline=time.time() + seconds, leader=os.getpid())
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**quiet, **os.environ, **(shares if limits.workers > 1 else {}), **write_environment(bounds, url)}


def _last_line(folder: TuningFolder, index: int) -> str:
    last = folder.worker_log(index).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
    return "it printed nothing" if last.endswith(_BEGINS) else last
