from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
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


def test_without_a_shared_value_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with process_pool(1) as pool:
        assert pool.submit(describe, None).result()[0] is None


def test_a_value_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises((AttributeError, pickle.PicklingError)):
        process_pool(1, shared=[bytes(10**6), lambda: None])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            process_pool(1, shared=bytes(10**6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(caught.value.filename).startswith(str(tmp_path))
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
