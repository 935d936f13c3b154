"""Pen strokes, and the pen that draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mnist_cnn.composition.hands import Stroke

_SUBPIXEL_BITS = 4  # fractional bits of OpenCV's coordinates
_DEVIATION = 2  # 1/16 pixels; points that move a line less are left out, because each costs time
_THINNEST, _TYPICAL, _THICKEST = 0.03, 0.075, 0.17  # share of a digit's height
_SPREAD = 0.4  # standard deviation of the logarithm of the width
_WHITE = 255


@dataclass(frozen=True)
class Pen:
    """A pen with a round tip that may be pressed harder on the way down."""

    width: float  #: share of a digit's height
    pressure: float = 0.0  #: how much wider downward strokes are, share of the width

    @classmethod
    def random(cls, random: np.random.Generator) -> Pen:
        """Choose any pen, from a fine pencil to a thick marker."""
        width = float(np.clip(_TYPICAL * np.exp(random.normal(0, _SPREAD)), _THINNEST, _THICKEST))
        pressure = float(random.uniform(0.2, 0.7)) if random.random() < 0.25 else 0.0
        return cls(width, min(pressure, _THICKEST / width - 1))

    def draw(self, strokes: Sequence[Stroke], shape: tuple[int, int], digit_height: float) -> NDArray[np.float32]:
        """Draw strokes.

        Args:
            strokes: Points in pixels.
            shape: Height and width of the picture.
            digit_height: Of a digit, in pixels.

        Returns:
            float32 `shape`, the share of each pixel that is covered with ink, 0 to 1.
        """
        canvas = np.zeros(shape, np.uint8)
        lines = [np.asarray(np.rint(stroke * 2**_SUBPIXEL_BITS), np.int32) for stroke in strokes]
        self._trace(canvas, lines, self.width * digit_height)
        if self.pressure:
            down = [part for line in lines for part in _downward(line)]
            self._trace(canvas, down, self.width * (1 + self.pressure) * digit_height)
        return canvas.astype(np.float32) / np.float32(_WHITE)

    def _trace(self, canvas: NDArray[np.uint8], lines: Sequence[NDArray[np.int32]], width: float) -> None:
        simple = [cv2.approxPolyDP(line, _DEVIATION, False) for line in lines]  # Douglas & Peucker 1973
        cv2.polylines(canvas, simple, False, _WHITE, max(1, round(width)), cv2.LINE_AA, _SUBPIXEL_BITS)


def _downward(line: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Return the parts of a line that go down more than sideways."""
    steps = np.diff(line, axis=0)
    down = steps[:, 1] > np.abs(steps[:, 0])
    turns = np.flatnonzero(np.diff(down)) + 1
    parts = np.split(np.arange(len(steps)), turns)
    return [line[part[0] : part[-1] + 2] for part in parts if len(part) and down[part[0]]]
