"""A pool of processes, which, unlike threads, are not kept from working at the same time by Python's lock."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

_MOST_ON_WINDOWS = 61  # `ProcessPoolExecutor` refuses more there
_NICE = 10  # lower priority of processes in the background
_SHARED_FILE = "shared.pickle"


def process_pool(workers: int, *, shared: Any = None, in_background: bool = False) -> ProcessPoolExecutor:
    """Return a pool of new processes, one for each core at most: OpenCV starts no threads in them.

    Ctrl-C is left to this process, which ends the others when it shuts the pool down.

    Args:
        workers: Number of processes, 1 or more. Windows starts at most 61.
        shared: What all tasks need, read by each process once instead of sent with each task; see `shared_value`. It is
            kept in a temporary file until the pool is gone.
        in_background: Lower the priority of the processes below that of this one; not on Windows.

    Raises:
        OSError: The temporary file cannot be written.
    """
    from concurrent.futures import ProcessPoolExecutor  # costs 5 ms, and few images need no processes

    count = min(workers, _MOST_ON_WINDOWS) if sys.platform == "win32" else workers
    folder = None if shared is None else _store(shared)
    # Forked processes would inherit the threads' locks of TensorFlow and ONNX Runtime, and wait for them forever.
    settings = (folder.name if folder else None, in_background)
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin, settings)
    if folder:
        weakref.finalize(pool, folder.cleanup)
    if sys.platform != "win32":
        try:
            with _interrupts_held_back():  # each task starts a process, which inherits what is held back
                for _ in range(count):
                    pool.submit(os.getpid)
        except KeyboardInterrupt:  # was held back; processes whose parent ends while they start print tracebacks
            pool.shutdown()
            raise
    return pool


def _store(shared: Any) -> tempfile.TemporaryDirectory[str]:
    """Write a value to a file in a temporary folder, which is removed at the latest when this process ends.

    Through their pipes, processes would start one after another: a pipe takes 64 KiB, then waits until it is read.
    """
    folder = tempfile.TemporaryDirectory(prefix="mnist-cnn-", ignore_cleanup_errors=True)
    path = Path(folder.name, _SHARED_FILE)
    try:
        with path.open("wb") as file:
            pickle.dump(shared, file)
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # the system does not say which disk is full
        raise
    return folder


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Delay Ctrl-C until the block ends: within the start of a pool, it would leave half of one.

    Processes that begin in the block never receive any.
    """
    handler = signal.getsignal(signal.SIGINT)
    is_handled = callable(handler) and threading.current_thread() is threading.main_thread()
    received: list[tuple[int, Any]] = []
    if is_handled:  # blocking it is not enough: any other thread may receive it
        signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit this
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if is_handled:
            signal.signal(signal.SIGINT, handler)
    if received and callable(handler):
        handler(*received[0])


def shared_value() -> Any:
    """Return, in a process of a pool, what `process_pool` was given as `shared`; None if nothing was."""
    return _shared[0]


_shared: list[Any] = []  # of a process in a pool


def _begin(folder: str | None, in_background: bool) -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    if in_background and hasattr(os, "nice"):  # not on Windows
        os.nice(_NICE)
    # Only this user can write to the folder of `_store`.
    _shared[:] = [pickle.loads(Path(folder, _SHARED_FILE).read_bytes()) if folder else None]  # noqa: S301
