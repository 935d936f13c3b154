"""Where images are prepared: in several lanes, so that no image waits for one that takes much longer than itself."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import TYPE_CHECKING, cast

import numpy as np

from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import DataError, ImageError
from mnist_cnn.reading.ink.sources import identify
from mnist_cnn.reading.recognizer.arrangement import arrange_one
from mnist_cnn.server.decoder import Decoder

if TYPE_CHECKING:
    from mnist_cnn.reading.ink import ImageSource, Prepared

_AT_ONCE = 4  # images of one request: few enough for others to have their turn, enough to outweigh a thread's overhead
_THREADS = 4  # of a lane, at most
_TINY = 2048  # pixels: prepared in less time than it takes to hand work to a thread
_LIGHT = 1_000_000  # pixels: prepared in some 40 ms
_LIGHT_BYTES = 256 * 1024  # of a file; as many bytes of empty JPEG segments or PNG chunks take 70 ms, 10 MB take 3 s
_HEAVY = 4_000_000  # pixels: prepared in some 120 ms; those of the largest size take some 300 MB
_HEAVY_BYTES = 1024 * 1024
_LIGHT_JPEG2000 = 100_000  # pixels: Pillow holds the interpreter's lock while it decodes them, some 40 ms
_SLOW_CHUNKS = (b"zTXt", b"iTXt", b"iCCP")  # of a PNG: compressed words, which may take as long as a photo
_PNG = struct.Struct(">16xII")  # a PNG's width and height, after signature, length and name of its first chunk


class Lane(IntEnum):
    """A place to prepare images; the slower the images, the higher the number."""

    HERE = 0  # the event loop
    LIGHT = 1  # threads for drawings and the like
    HEAVY = 2  # threads for small photos
    APART = 3  # a process that takes one image at a time


class Lanes:
    """All lanes of a server. Their methods belong to one event loop.

    Attributes:
        max_pixels: Of one image.
    """

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._decoder = Decoder(max_pixels)
        self._threads = {
            lane: ThreadPoolExecutor(min(usable_cores(), _THREADS), f"ink-{lane.name.lower()}")
            for lane in (Lane.LIGHT, Lane.HEAVY)
        }

    async def prepare(self, images: Sequence[ImageSource]) -> list[Prepared]:
        """Prepare the images of one request a few at a time, so that requests take turns and a cancelled one ends soon.

        Raises:
            DataError: One cannot be read; where there are several, the message names its place, counted from 1.
            DecoderError: The process for large images did not start, or ended.
        """
        least = Lane.HERE if len(images) <= _AT_ONCE else Lane.LIGHT
        prepared: list[Prepared] = []
        for start in range(0, len(images), _AT_ONCE):
            few = range(start, min(start + _AT_ONCE, len(images)))
            lane = max(least, *(min(lane_by_size(images[place]), Lane.HEAVY) for place in few))
            for place, outcome in zip(few, await self._try(images, few, lane), strict=True):
                prepared.append(await self._finish(images, place, outcome))
        return prepared

    async def close(self) -> None:
        """Finish what has begun, and end threads and process."""
        for threads in self._threads.values():
            threads.shutdown(cancel_futures=True)
        await self._decoder.close()

    async def _finish(self, images: Sequence[ImageSource], place: int, outcome: Prepared | Lane) -> Prepared:
        """Send an image on to the lane that it needs, unless it is prepared."""
        if outcome is Lane.APART:
            with _naming(place, len(images)):
                return await self._decoder.prepare(cast("bytes", images[place]))  # arrays never go there
        if isinstance(outcome, Lane):
            (outcome,) = await self._try(images, [place], outcome)
        return cast("Prepared", outcome)

    async def _try(self, images: Sequence[ImageSource], places: Sequence[int], lane: Lane) -> list[Prepared | Lane]:
        if lane is Lane.HERE:
            return self._try_here(images, places, lane)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads[lane], self._try_here, images, places, lane)

    def _try_here(self, images: Sequence[ImageSource], places: Sequence[int], lane: Lane) -> list[Prepared | Lane]:
        """Prepare some of the images in the lane that calls this; give the lane of those that need a slower one."""
        outcomes: list[Prepared | Lane] = []
        for place in places:
            image = images[place]
            needed = lane_of(image, self.max_pixels)
            with _naming(place, len(images)):
                outcomes.append(arrange_one(image, self.max_pixels) if needed <= lane else needed)
        return outcomes


@contextlib.contextmanager
def _naming(place: int, count: int) -> Iterator[None]:
    """Say in an error which of several images it is about."""
    try:
        yield
    except DataError as error:
        if count == 1:
            raise
        raise ImageError(f"image {place + 1} of {count}: {error}") from error


def lane_by_size(image: ImageSource) -> Lane:
    """Give the quickest lane that an image may take, by what is known in a microsecond."""
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
    """Give the lane that an image needs; opens files, and decodes nothing.

    Args:
        image: An array, or a file's bytes.
        max_pixels: Images with more are refused as soon as they are opened.
    """
    lane = lane_by_size(image)
    if lane is Lane.HERE or lane is Lane.APART or isinstance(image, np.ndarray):
        return lane
    try:
        kind, pixels = identify(cast("bytes", image))
    except Exception:  # of many kinds; reading it in earnest ends in the same place, and says what is wrong
        return lane
    if pixels > max_pixels:
        return lane
    if pixels > (_LIGHT_JPEG2000 if kind == "JPEG2000" else _HEAVY):
        return Lane.APART
    return max(lane, Lane.HEAVY if pixels > _LIGHT else Lane.LIGHT)


def _is_tiny_png(content: bytes) -> bool:
    """Say whether a file is a PNG so small that the event loop need not be spared; no other kind is known so soon."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or not _PNG.size <= len(content) <= 4 * _TINY:
        return False
    width, height = _PNG.unpack_from(content)
    return int(width) * int(height) <= _TINY and not any(kind in content for kind in _SLOW_CHUNKS)
