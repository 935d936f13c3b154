"""Images of many requests, read by one network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mnist_cnn.errors import DataError, MnistCnnError
from mnist_cnn.reading.ink import MAX_PIXELS
from mnist_cnn.reading.numbers import Constraint
from mnist_cnn.reading.numbers import line_preparation as lines
from mnist_cnn.reading.recognizer.arrangement import arrange_one
from mnist_cnn.server import counters
from mnist_cnn.server.batcher import Batcher
from mnist_cnn.server.lanes import Lane, Lanes, named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnist_cnn.reading.ink import ImageSource, Prepared
    from mnist_cnn.reading.numbers import NumberReader, NumberReading
    from mnist_cnn.reading.numbers.constraints import Length
    from mnist_cnn.reading.numbers.line_preparation import PreparedLine
    from mnist_cnn.reading.recognizer import Reading, Recognizer

MAX_PENDING = 512  # images in progress
_LIGHT_LINE = 512  # pixels, width of a line that is read in some 10 ms; the widest take a second under a hard pattern


class OverloadedError(MnistCnnError):
    """Too many images are in progress already."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"too many images are waiting for the network (limit: {limit}). Try again in a second.")


@dataclass(frozen=True, eq=False)
class Seen:
    """One image, read, with what the network saw of it."""

    reading: Reading
    picture: NDArray[np.uint8]  # [28, 28], ink light on 0


class Reader:
    """Reads for many requests at once. All its methods belong to one event loop.

    Attributes:
        recognizer: The model for single digits.
        numbers: The model for whole numbers.
        max_pending: Most images in progress.
        pending: Images in progress.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        numbers: NumberReader,
        *,
        max_pending: int = MAX_PENDING,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.recognizer = recognizer
        self.numbers = numbers
        self.max_pending = max_pending
        self.pending = 0
        self._network: Batcher[Prepared, Reading] = Batcher(self._read_together)
        self._lanes = Lanes(max_pixels)
        # Building one takes up to half a second; other requests do not wait for it.
        self._constraints = ThreadPoolExecutor(1, "constraints")

    async def read(self, images: Sequence[ImageSource]) -> list[Seen]:
        """Read single digits, in order.

        Raises:
            OverloadedError: Too many are in progress already; nothing was done.
            DataError: One cannot be read; if there are several, the message names its place, counted from 1.
            DecoderError: The process for large images failed.
        """
        self._admit(len(images))
        try:
            prepared = await self._lanes.prepare(images, arrange_one)
            readings = await self._network.do(prepared)
        finally:
            self.pending -= len(images)
        return [Seen(reading, each.image) for reading, each in zip(readings, prepared, strict=True)]

    async def read_numbers(
        self, images: Sequence[ImageSource], length: Length | None, pattern: str | None
    ) -> list[NumberReading]:
        """Read whole numbers, in order.

        Args:
            images: Arrays, or the bytes of files.
            length: As in `NumberReader.read`.
            pattern: As in `NumberReader.read`.

        Raises:
            OverloadedError: Too many are in progress already; nothing was done.
            SettingError: The length or the pattern is invalid, too complex, or fits no number.
            DataError: One cannot be read; if there are several, the message names its place, counted from 1.
            DecoderError: The process for large images failed.
        """
        self._admit(len(images))
        try:
            constraint = await self._constraint(length, pattern)
            prepared = await self._lanes.prepare(images, lines.prepare)
            is_light = all(_widest(line) <= _LIGHT_LINE for line in prepared)
            work = partial(self._read_number, constraint, len(images))
            readings = await self._lanes.do(work, list(enumerate(prepared)), Lane.LIGHT if is_light else Lane.HEAVY)
        finally:
            self.pending -= len(images)
        counters.count_numbers(readings)
        return readings

    async def close(self) -> None:
        """Finish the requests in progress, and end the threads."""
        await self._network.close()
        self._lanes.close()
        self._constraints.shutdown(cancel_futures=True)

    def _admit(self, count: int) -> None:
        """Count images as being in progress.

        Not a context manager: see `lanes.named`.

        Raises:
            OverloadedError: There are too many.
        """
        if self.pending + count > self.max_pending:
            counters.count_refusal("pending")
            raise OverloadedError(self.max_pending)
        self.pending += count

    async def _constraint(self, length: Length | None, pattern: str | None) -> Constraint | None:
        if pattern is None:
            return Constraint.of(length)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._constraints, Constraint.of, length, pattern)

    def _read_together(self, prepared: list[Prepared]) -> list[Reading]:
        readings = self.recognizer.read_prepared(prepared)
        counters.count_readings(readings)
        return readings

    def _read_number(self, constraint: Constraint | None, count: int, line: tuple[int, PreparedLine]) -> NumberReading:
        place, prepared = line
        try:
            return self.numbers.read_prepared(prepared, constraint)
        except DataError as error:  # its field is too wide
            if count == 1:
                raise
            raise named(error, place, count) from error


def _widest(line: PreparedLine) -> int:
    """Return the width in pixels of the widest line that is read for a picture."""
    width: int = max(each.image.shape[1] for each in (line, line.whole or line))
    return width
