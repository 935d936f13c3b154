"""Images of many requests, read by one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.reading.ink import MAX_PIXELS
from mnist_cnn.server import counters
from mnist_cnn.server.batcher import Batcher
from mnist_cnn.server.lanes import Lanes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnist_cnn.reading.ink import ImageSource, Prepared
    from mnist_cnn.reading.recognizer import Reading, Recognizer

MAX_PENDING = 512  # images in progress


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
        recognizer: The model.
        max_pending: Most images in progress.
        pending: Images in progress.
    """

    def __init__(self, recognizer: Recognizer, *, max_pending: int = MAX_PENDING, max_pixels: int = MAX_PIXELS) -> None:
        self.recognizer = recognizer
        self.max_pending = max_pending
        self.pending = 0
        self._network: Batcher[Prepared, Reading] = Batcher(self._read_together)
        self._lanes = Lanes(max_pixels)

    async def read(self, images: Sequence[ImageSource]) -> list[Seen]:
        """Read images, in order.

        Raises:
            OverloadedError: Too many are in progress already; nothing was done.
            DataError: One cannot be read; if there are several, the message names its place, counted from 1.
            DecoderError: The process for large images failed.
        """
        if self.pending + len(images) > self.max_pending:
            counters.count_refusal("pending")
            raise OverloadedError(self.max_pending)
        self.pending += len(images)
        try:
            prepared = await self._lanes.prepare(images)
            readings = await self._network.do(prepared)
        finally:
            self.pending -= len(images)
        return [Seen(reading, each.image) for reading, each in zip(readings, prepared, strict=True)]

    async def close(self) -> None:
        """Finish the requests in progress, and end the threads."""
        await self._network.close()
        self._lanes.close()

    def _read_together(self, prepared: list[Prepared]) -> list[Reading]:
        readings = self.recognizer.read_prepared(prepared)
        counters.count_readings(readings)
        return readings
