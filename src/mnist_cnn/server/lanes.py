"""Where images are prepared: in several lanes, so that no image waits for one that takes much longer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, cast

import anyio.to_process
import cv2
import numpy as np

from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import DataError, ImageError, MnistCnnError
from mnist_cnn.reading.ink.sources import identify

if TYPE_CHECKING:
    from mnist_cnn.reading.ink import ImageSource

Item = TypeVar("Item")
Result = TypeVar("Result")
Prepared = TypeVar("Prepared")
Prepare: TypeAlias = "Callable[[ImageSource, int], Prepared]"  # a module's function of an image and its most pixels

_AT_ONCE = 4  # images of one request: few enough for others to have their turn, enough to outweigh a thread's overhead
_THREADS = 4  # of a lane, at most
_TINY = 2048  # pixels: prepared in less time than it takes to hand work to a thread
_LIGHT = 1_000_000  # pixels: prepared in about 40 ms
_LIGHT_BYTES = 256 * 1024  # of a file; as many bytes of empty JPEG segments or PNG chunks take 70 ms, 10 MB take 3 s
_HEAVY = 4_000_000  # pixels: prepared in some 120 ms; those of the largest size take some 300 MB
_HEAVY_BYTES = 1024 * 1024
_LIGHT_JPEG2000 = 100_000  # pixels: Pillow holds the interpreter's lock while it decodes them, about 40 ms
_SLOW_CHUNKS = (b"zTXt", b"iTXt", b"iCCP")  # of a PNG: compressed text, which may take as long as a photo
_PNG = struct.Struct(">16xII")  # a PNG's width and height, after signature, length and name of its first chunk
_NICE = 5  # priority below the threads that prepare small images, which would otherwise wait on a single core


class Lane(IntEnum):
    """A place to prepare images; the slower the images, the higher the number."""

    HERE = 0  # the event loop
    LIGHT = 1  # threads for drawings and the like
    HEAVY = 2  # threads for small photos
    APART = 3  # a process that takes one image at a time


class DecoderError(MnistCnnError):
    """The process for large images did not start, or ended without an answer."""

    def __init__(self) -> None:
        super().__init__("the process that reads large images failed. Try again, or send a smaller image.")


@dataclass(frozen=True)
class _Work(Generic[Prepared]):
    """The images of one request, and what is done with each."""

    images: Sequence[ImageSource]
    prepare: Prepare[Prepared]


class Lanes:
    """All lanes of a server. Their methods belong to one event loop.

    Attributes:
        max_pixels: Most pixels of one image.
    """

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._one_at_a_time = anyio.CapacityLimiter(1)  # each takes up to 300 MB
        self._threads = {
            lane: ThreadPoolExecutor(min(usable_cores(), _THREADS), f"ink-{lane.name.lower()}")
            for lane in (Lane.LIGHT, Lane.HEAVY)
        }

    async def prepare(self, images: Sequence[ImageSource], prepare: Prepare[Prepared]) -> list[Prepared]:
        """Prepare the images of one request, a few at a time: requests take turns, and a cancelled one ends soon.

        Args:
            images: Arrays, or the bytes of files.
            prepare: A function of a module, because the process for large images imports it.

        Raises:
            DataError: One cannot be read; if there are several, the message names its place, counted from 1.
            DecoderError: The process for large images failed.
        """
        work = _Work(images, prepare)
        least = Lane.HERE if len(images) <= _AT_ONCE else Lane.LIGHT
        prepared: list[Prepared] = []
        for start in range(0, len(images), _AT_ONCE):
            few = range(start, min(start + _AT_ONCE, len(images)))
            lane = max(least, *(min(lane_by_size(images[place]), Lane.HEAVY) for place in few))
            outcomes = await self._try(work, few, lane)
            for place, outcome in zip(few, outcomes, strict=True):
                prepared.append(await self._finish(work, place, outcome))
        return prepared

    async def do(self, work: Callable[[Item], Result], items: Sequence[Item], lane: Lane) -> list[Result]:
        """Do other work in the threads of a lane, with a few items at a time."""
        loop, results = asyncio.get_running_loop(), list[Result]()
        for start in range(0, len(items), _AT_ONCE):
            few = items[start : start + _AT_ONCE]
            results += await loop.run_in_executor(self._threads[lane], list, map(work, few))
        return results

    def close(self) -> None:
        """Finish the images in progress, and end the threads; the process ends with the event loop."""
        for threads in self._threads.values():
            threads.shutdown(cancel_futures=True)

    async def _finish(self, work: _Work[Prepared], place: int, outcome: Prepared | Lane) -> Prepared:
        """Send an image on to the lane that it needs, unless it is prepared."""
        if outcome is Lane.APART:
            try:
                return await self._prepare_apart(work, place)
            except DataError as error:
                if len(work.images) == 1:
                    raise
                raise named(error, place, len(work.images)) from error
        if isinstance(outcome, Lane):
            (outcome,) = await self._try(work, [place], outcome)
        return cast("Prepared", outcome)

    async def _prepare_apart(self, work: _Work[Prepared], place: int) -> Prepared:
        """Prepare an image in a process, which is killed if the request is cancelled.

        Not in a thread: Pillow's JPEG 2000 decoder holds the interpreter's lock from beginning to end, and so does a
        file with millions of tiny parts. A process also returns its memory to the system when it ends.
        """
        image = cast("bytes", work.images[place])  # never an array
        try:
            return await anyio.to_process.run_sync(
                _prepare_large, work.prepare, image, self.max_pixels, cancellable=True, limiter=self._one_at_a_time
            )
        except (anyio.BrokenWorkerProcess, OSError) as error:
            raise DecoderError from error

    async def _try(self, work: _Work[Prepared], places: Sequence[int], lane: Lane) -> list[Prepared | Lane]:
        if lane is Lane.HERE:
            return self._try_here(work, places, lane)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads[lane], self._try_here, work, places, lane)

    def _try_here(self, work: _Work[Prepared], places: Sequence[int], lane: Lane) -> list[Prepared | Lane]:
        """Prepare some of the images in the lane that calls this; return the lane of those that need a slower one."""
        outcomes: list[Prepared | Lane] = []
        for place in places:
            image = work.images[place]
            needed = lane_of(image, self.max_pixels)
            try:
                outcomes.append(work.prepare(image, self.max_pixels) if needed <= lane else needed)
            except DataError as error:
                if len(work.images) == 1:
                    raise
                raise named(error, place, len(work.images)) from error
        return outcomes


def lane_by_size(image: ImageSource) -> Lane:
    """Return the quickest lane that an image may take, judged in a microsecond."""
    if isinstance(image, np.ndarray):
        sizes = {Lane.HERE: _TINY, Lane.LIGHT: _LIGHT}
        return next((lane for lane, most in sizes.items() if image.size <= most), Lane.HEAVY)
    content = cast("bytes", image)
    if _is_tiny_png(content):
        return Lane.HERE
    if len(content) <= _LIGHT_BYTES:
        return Lane.LIGHT
    return Lane.HEAVY if len(content) <= _HEAVY_BYTES else Lane.APART


def lane_of(image: ImageSource, max_pixels: int) -> Lane:
    """Return the lane that an image needs; opens files, but decodes nothing.

    Args:
        image: An array, or the bytes of a file.
        max_pixels: Images with more are refused as soon as they are opened.
    """
    lane = lane_by_size(image)
    if lane is Lane.HERE or lane is Lane.APART or isinstance(image, np.ndarray):
        return lane
    try:
        kind, pixels = identify(cast("bytes", image))
    except Exception:  # of many kinds; preparing it fails in the same way and explains it
        return lane
    if pixels > max_pixels:
        return lane
    if pixels > (_LIGHT_JPEG2000 if kind == "JPEG2000" else _HEAVY):
        return Lane.APART
    return max(lane, Lane.HEAVY if pixels > _LIGHT else Lane.LIGHT)


def _is_tiny_png(content: bytes) -> bool:
    """Return whether a file is a PNG small enough for the event loop; other kinds take longer to identify."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or not _PNG.size <= len(content) <= 4 * _TINY:
        return False
    width, height = _PNG.unpack_from(content)
    return int(width) * int(height) <= _TINY and not any(kind in content for kind in _SLOW_CHUNKS)


def named(error: DataError, place: int, count: int) -> ImageError:
    """Add to an error which of several images it is about.

    Not a context manager: in Python 3.12 and 3.13, its errors keep their images until the next full garbage collection.
    """
    return ImageError(f"image {place + 1} of {count}: {error}")


def _prepare_large(prepare: Prepare[Prepared], image: bytes, max_pixels: int) -> Prepared:
    """Prepare an image, in the process for large ones."""
    with contextlib.suppress(AttributeError, OSError):  # missing on Windows; a sandbox may forbid it
        os.nice(_NICE - os.nice(0))
    cv2.setNumThreads(1)  # requests share the cores already
    warnings.filterwarnings("ignore", module="PIL")  # about odd images that can still be read
    return prepare(image, max_pixels)
