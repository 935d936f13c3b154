"""Read many images on this machine: the first ones in threads, and the others in one process for each core.

Python's lock keeps threads from decoding numbers at the same time, so processes read faster. Starting them takes a
second, so they are only started for what is left after as long.
"""

from __future__ import annotations

import contextlib
import itertools
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from mnist_cnn.bulk.job import Image, Job, load_reader
from mnist_cnn.bulk.part_reading import PartRows, read_part
from mnist_cnn.bulk.stores import reaching
from mnist_cnn.environment.processes import process_pool, shared_value
from mnist_cnn.errors import MnistCnnError, SettingError
from mnist_cnn.reading.recognizer.ahead import map_in_pool

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from mnist_cnn.bulk.parts import ImagePart

_SOON = 1.0  # seconds of reading before processes are started
_CHUNK = 16  # images that a process reads at once


class LocalReader(contextlib.AbstractContextManager["LocalReader"]):
    """Reads single images, in processes if there are many; as a context, it ends these."""

    def __init__(
        self, job: Callable[[], Job], read_few: Callable[[Iterable[Image]], Iterator[tuple[Image, Any]]], workers: int
    ) -> None:
        """Start nothing yet.

        Args:
            job: Gives what processes need to read as `read_few` does; called when they are needed.
            read_few: Reads images in threads of this process.
            workers: Number of processes; 1 for none.
        """
        self._job, self._read_few, self._workers = job, read_few, workers
        self._end = time.monotonic() + _SOON  # of the work of threads
        self._pool: ProcessPoolExecutor | None = None

    def read_many(self, images: Iterable[Image]) -> Iterator[tuple[Image, Any]]:
        """Yield each image with its reading, or with the error that says why it cannot be read; in order.

        Raises:
            MnistCnnError: A process was killed.
        """
        left = iter(images)
        yield from self._read_few(self._first(left))
        chunks = iter(lambda: list(itertools.islice(left, _CHUNK)), [])
        if (chunk := next(chunks, None)) is None:
            return
        self._pool = self._pool or process_pool(self._workers, shared=self._job())
        with _while_alive():
            for results in map_in_pool(self._pool, _read_chunk, itertools.chain([chunk], chunks), self._workers):
                yield from results

    def _first(self, images: Iterator[Image]) -> Iterator[Image]:
        """Yield the images for threads: those of the first second, or all if there is one worker."""
        while self._workers == 1 or time.monotonic() < self._end:
            if (image := next(images, None)) is None:
                return
            yield image

    def __exit__(self, *_error: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


def read_parts(job: Job, parts: Iterable[ImagePart], workers: int) -> Iterator[PartRows]:
    """Read parts, in processes if there are many.

    Args:
        job: What to read and how.
        parts: The parts.
        workers: Number of threads or processes that share the work.

    Yields:
        The rows of each part, in order.

    Raises:
        MnistCnnError: A part cannot be read, or a process was killed.
    """
    left, end = iter(parts), time.monotonic() + _SOON
    for part in left:
        if workers > 1 and time.monotonic() >= end:
            left = itertools.chain([part], left)
            break
        yield _checked(_read_part(job, part, workers))
    else:
        return
    with process_pool(workers, shared=job) as pool, _while_alive():
        yield from map(_checked, map_in_pool(pool, _read_shared_part, left, workers))


def _read_chunk(images: list[Image]) -> list[tuple[Image, Any]]:
    warnings.simplefilter("ignore")  # about unusual images that can still be read
    reader = load_reader(shared_value())
    # One by one, as in threads: no confidence depends on when the processes were started.
    return [named for image in images for named in reader.read_batch([(image, image)])]


def _read_shared_part(part: ImagePart) -> PartRows:
    return _read_part(shared_value(), part, 1)


def _read_part(job: Job, part: ImagePart, threads: int) -> PartRows:
    with reaching(part.store) if part.store else contextlib.nullcontext():
        return read_part(job, part, threads)


def _checked(rows: PartRows) -> PartRows:
    """Return rows; raise their problem."""
    if rows.problem:
        raise (SettingError if rows.exit_code == SettingError.exit_code else MnistCnnError)(rows.problem)
    return rows


@contextlib.contextmanager
def _while_alive() -> Iterator[None]:
    """Raise an error of this package if a process is killed."""
    try:
        yield
    except BrokenProcessPool:
        raise MnistCnnError(
            "a process that reads images was killed, probably for lack of memory. Use fewer with --threads."
        ) from None
