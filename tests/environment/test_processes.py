from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import tempfile
from pathlib import Path

import cv2
import pytest

from mnist_cnn.environment.processes import process_pool, shared_value


def priority() -> int:
    return os.nice(0) if hasattr(os, "nice") else 0


def describe(_: object) -> tuple[object, int, bool, int]:
    """Return what a process of a pool was given, its OpenCV threads, whether it ignores Ctrl-C, and its priority."""
    ignores = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    return shared_value(), cv2.getNumThreads(), ignores, priority()


def test_a_process_works_on_one_core_leaves_ctrl_c_alone_and_knows_what_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with process_pool(1, shared="a job") as pool:
        assert pool.submit(describe, None).result() == ("a job", 1, True, priority())
    del pool
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "nice"), reason="needs priorities of processes")
def test_a_process_in_the_background_has_a_lower_priority() -> None:
    with process_pool(1, in_background=True) as pool:
        assert pool.submit(describe, None).result()[3] == min(priority() + 10, 19)


def test_windows_starts_as_many_processes_as_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")  # ProcessPoolExecutor refuses more than 61 there
    process_pool(1024).shutdown()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_processes_do_not_die_of_ctrl_c_while_they_start() -> None:
    """A terminal sends Ctrl-C to all processes, also to those that are importing modules."""
    with process_pool(2) as pool:
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGINT)
        assert pool.submit(abs, -3).result(timeout=60) == 3
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
