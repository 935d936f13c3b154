"""Images of many requests at once, read by one network."""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mnist_cnn.cores import usable_cores
from mnist_cnn.errors import DataError, ImageError, MnistCnnError
from mnist_cnn.ink import MAX_PIXELS
from mnist_cnn.recognizer.arrangement import arrange_one
from mnist_cnn.server import metrics
from mnist_cnn.server.batcher import Batcher

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.ink import ImageSource, Prepared
    from mnist_cnn.recognizer import Reading, Recognizer

_AT_ONCE = 4  # images prepared in one go: few enough for others to have their turn, many enough for a thread's price
_THREADS = 4  # at most
_SMALL = 2048  # pixels: prepared in less time than a thread takes to be asked twice
_LARGE = 4_000_000  # pixels: decoding a picture of the largest size takes some 300 MB, so one at a time
_SLOW_CHUNKS = (b"zTXt", b"iTXt", b"iCCP")  # of a PNG: compressed words, which may take as long as a photo
_PNG = struct.Struct(">16xII")  # a PNG's width and height, after signature, length and name of its first chunk


class OverloadedError(MnistCnnError):
    """Too many images wait already."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"too many images wait for the network (at most {limit} may). Try again in a second.")


@dataclass(frozen=True, eq=False)
class Seen:
    """One image, read, with what the network saw of it."""

    reading: Reading
    picture: NDArray[np.uint8]  # [28, 28], ink light on 0


class Reader:
    """Reads for many requests at once. All its methods belong to one event loop.

    Attributes:
        recognizer: Its model.
        max_pending: Images that may be in work or wait.
        max_pixels: Of one image.
        pending: Images that are in work or wait.
    """

    def __init__(self, recognizer: Recognizer, *, max_pending: int, max_pixels: int = MAX_PIXELS) -> None:
        self.recognizer = recognizer
        self.max_pending = max_pending
        self.max_pixels = max_pixels
        self.pending = 0
        self._network: Batcher[Prepared, Reading] = Batcher(self._read_together)
        self._threads = ThreadPoolExecutor(min(usable_cores(), _THREADS), "ink")
        self._large = ThreadPoolExecutor(1, "ink-large")  # a lock would do, but each thread keeps memory of its own

    async def read(self, images: Sequence[ImageSource]) -> list[Seen]:
        """Read images, in order.

        Raises:
            OverloadedError: Too many wait already; nothing was done.
            DataError: One cannot be read; where there are several, the message names its place, counted from 1.
        """
        if self.pending + len(images) > self.max_pending:
            metrics.count_refusal("pending")
            raise OverloadedError(self.max_pending)
        self.pending += len(images)
        try:
            prepared = await self._prepare(images)
            readings = await self._network.do(prepared)
        finally:
            self.pending -= len(images)
        return [Seen(reading, each.image) for reading, each in zip(readings, prepared, strict=True)]

    async def close(self) -> None:
        """Finish what has begun, and end the threads."""
        await self._network.close()
        self._threads.shutdown(cancel_futures=True)
        self._large.shutdown()

    def _read_together(self, prepared: list[Prepared]) -> list[Reading]:
        readings = self.recognizer.read_prepared(prepared)
        metrics.observe_batch(len(prepared))
        metrics.count_readings(readings)
        return readings

    async def _prepare(self, images: Sequence[ImageSource]) -> list[Prepared]:
        """Prepare images a few at a time, so that requests take turns and a cancelled one ends soon."""
        if len(images) <= _AT_ONCE and all(map(_is_small, images)):
            return self._prepare_few(images, 0)
        loop = asyncio.get_running_loop()
        prepared: list[Prepared] = []
        for start in range(0, len(images), _AT_ONCE):
            prepared += await loop.run_in_executor(self._threads, self._prepare_few, images, start)
        return prepared

    def _prepare_few(self, images: Sequence[ImageSource], start: int) -> list[Prepared]:
        prepared = []
        for place, image in enumerate(images[start : start + _AT_ONCE], start + 1):
            try:
                prepared.append(self._prepare_one(image))
            except DataError as error:
                if len(images) == 1:
                    raise
                raise ImageError(f"image {place} of {len(images)}: {error}") from error
        return prepared

    def _prepare_one(self, image: ImageSource) -> Prepared:
        if _may_be_large(image):
            return self._large.submit(arrange_one, image, self.max_pixels).result()
        return arrange_one(image, self.max_pixels)


def _is_small(image: ImageSource) -> bool:
    """Whether an image is prepared so fast that the event loop need not be spared. PNG alone says so in a µs."""
    if isinstance(image, np.ndarray):
        return image.size <= _SMALL
    if not isinstance(image, bytes) or not image.startswith(b"\x89PNG\r\n\x1a\n") or len(image) < _PNG.size:
        return False
    width, height = _PNG.unpack_from(image)
    if len(image) > 4 * _SMALL or int(width) * int(height) > _SMALL:
        return False
    return not any(kind in image for kind in _SLOW_CHUNKS)


def _may_be_large(image: ImageSource) -> bool:
    """Whether decoding an image may take much memory: its first bytes say that it is large, or do not say."""
    if _is_small(image) or isinstance(image, np.ndarray):
        return False
    try:
        with Image.open(io.BytesIO(image), formats=("PNG", "JPEG")) as opened:  # type: ignore[arg-type]
            return opened.width * opened.height > _LARGE
    except Exception:  # of many kinds; reading it in earnest says what is wrong
        return True
