"""Pictures of one digit, as people hand them in: drawn, photographed, scanned, cut out of a form, tightly cropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.composition import marks, writing
from mnist_cnn.composition.hands import Hand
from mnist_cnn.composition.paper import scenes
from mnist_cnn.composition.pen import Pen
from mnist_cnn.composition.traced_digits import redraw
from mnist_cnn.composition.tracing import trace
from mnist_cnn.composition.writing import compose_line, compose_other
from mnist_cnn.reading.ink import prepare
from mnist_cnn.reading.ink.form import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.hands import Stroke
    from mnist_cnn.composition.paper.scenes import Scene
    from mnist_cnn.composition.writing import Frame, Point, Writer

    Plane = NDArray[np.float32]  # [h, w], share of ink in each pixel
    Picture = NDArray[np.uint8]  # [h, w]

_BY_HAND = 0.65  # share of digits drawn by code; the others are traced from real ones
_FAITHFUL = 0.75  # least similarity of a real digit and its traces; bold loops that were filled with ink have less
_TRACED_AT_MOST = 6  # digits, in search of a faithful one
_ALIKE = 0.6  # least similarity of what `ink` found and the digit that was written
_SOFT = 1.2  # pixels: places in MNIST's form that are this close count as alike
_MARKER = 0.3  # share of pens that are thick markers
_THINNEST_MARKER, _THICKEST_MARKER = 0.1, 0.26  # widths, in heights of a digit
_WIDE_STROKE = 0.18  # of them, above which few pixels do not show a loop
_SIDE = 16  # pixels of a tight crop
_TIGHT, _AMID = 0.25, 0.2  # shares of tight crops, and of digits amid others
_RULED = 0.2  # share of the others with lines beside or through the digit
_BLANK = 0.2  # share of pictures without a digit that show nothing but paper

# Where single digits are found, each with its share of the pictures.
_SCENES: dict[Scene, float] = {
    scenes.screen: 0.32,
    scenes.photo: 0.26,
    scenes.scan: 0.22,
    scenes.ledger: 0.1,
    scenes.board: 0.05,
    scenes.cheque: 0.05,
}


@dataclass(frozen=True, eq=False)
class Drawn:
    """A digit before it is put into a scene."""

    coverage: Plane  #: float32 [h, w], share of ink in each pixel: the digit, and what is beside it
    alone: Picture  #: uint8 [28, 28], the digit in MNIST's form
    digit_height: float  #: pixels


@dataclass(frozen=True, eq=False)
class DigitComposer:
    """Composes pictures of digits, and prepares them like image files."""

    real: tuple[NDArray[np.uint8], ...]  #: for each digit, pictures uint8 [n, 28, 28] in MNIST's form

    @classmethod
    def of(cls, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> DigitComposer:
        """Arrange real digits, uint8 [n, 28, 28], by their labels [n], 0 to 9."""
        return cls(tuple(images[labels == digit] for digit in range(10)))

    def compose(self, digit: int, random: np.random.Generator) -> Picture | None:
        """Compose a picture of a digit, 0 to 9.

        Returns:
            uint8 [28, 28], as `reading.ink` prepares the picture; None if it does not find the digit, or not it alone.
        """
        picture, alone = self.picture(digit, random)
        found = prepare(picture)
        return found.image if found.is_single and _similarity(found.image, alone) >= _ALIKE else None

    def picture(self, digit: int, random: np.random.Generator) -> tuple[Picture, Picture]:
        """Compose a picture of a digit before it is prepared.

        Returns:
            uint8 [h, w], and the digit alone in MNIST's form, uint8 [28, 28].
        """
        kind = random.random()
        if kind < _TIGHT:
            drawn = self._alone(digit, _snug, any_pen(random, _WIDE_STROKE), random)
            return tight_crop(drawn.coverage, random), drawn.alone
        pen = any_pen(random)
        drawn = (
            self._amid(digit, pen, random)
            if kind < _TIGHT + _AMID
            else self._alone(digit, _any_frame(random), pen, random)
        )
        coverage = with_lines(drawn.coverage, random) if random.random() < _RULED else drawn.coverage
        return _in_a_scene(coverage, drawn.digit_height, random), drawn.alone

    def _alone(self, digit: int, frame: Frame, pen: Pen, random: np.random.Generator) -> Drawn:
        """Write a digit with nothing beside it."""
        line = compose_line(str(digit), self.writer(random), frame, random, pen=pen, clean=True)
        return Drawn(line.coverage, _in_form(line.coverage), line.digit_height)

    def _amid(self, digit: int, pen: Pen, random: np.random.Generator) -> Drawn:
        """Write a digit between others and cut it out, so that parts of its neighbours are at the borders."""
        before, after = random.integers(10, size=2)
        line = compose_line(f"{before}{digit}{after}", self.writer(random), _roomy, random, pen=pen, clean=True)
        left, top, right, bottom = line.boxes[1]
        room = random.uniform((0.02, 0.02, 0.02, 0.02), (0.3, 0.25, 0.3, 0.25)) * line.digit_height
        height, width = line.coverage.shape
        rows = slice(max(0, int(top - room[1])), min(height, int(bottom + room[3]) + 1))
        columns = slice(max(0, int(left - room[0])), min(width, int(right + room[2]) + 1))
        box = slice(int(top), int(bottom) + 1), slice(max(0, int(left)), int(right) + 1)
        return Drawn(line.coverage[rows, columns], _in_form(line.coverage[box]), line.digit_height)

    def writer(self, random: np.random.Generator) -> Writer:
        """Choose one writer."""
        return Hand.random(random).write if random.random() < _BY_HAND else self.trace

    def trace(self, digit: int, random: np.random.Generator) -> list[Stroke]:
        """Give a real digit's strokes."""
        real = self.real[digit]
        for _ in range(_TRACED_AT_MOST):
            picture = real[int(random.integers(len(real)))]
            strokes = trace(picture)
            if _similarity(redraw(strokes), picture) >= _FAITHFUL:
                return strokes
        return Hand.random(random).write(digit, random)


def compose_clutter(random: np.random.Generator) -> Picture:
    """Compose a picture of what is not a digit: a word, a tick, hatching, blank paper with shadows; uint8 [h, w]."""
    if random.random() < _BLANK:
        return _in_a_scene(np.zeros(random.integers(30, 120, 2), np.float32), random.uniform(40, 80), random)
    strokes = (marks.word if random.random() < 0.4 else marks.clutter)(random)
    drawn = compose_other(strokes, _any_frame(random), random)
    return _in_a_scene(drawn.coverage, drawn.digit_height, random)


def any_pen(random: np.random.Generator, thickest: float = _THICKEST_MARKER) -> Pen:
    """Choose a pen, thick markers more often than for numbers; their width is a share of a digit's height."""
    if random.random() < _MARKER:
        return Pen(random.uniform(_THINNEST_MARKER, thickest))
    return Pen.random(random)


def with_lines(coverage: Plane, random: np.random.Generator) -> Plane:
    """Rule lines near the edges of the ink, as forms have: below or above it, beside it, rarely through it.

    Args:
        coverage: float32 [h, w], 0 … 1, with ink.
        random: Source of the draws.
    """
    left, top, width, height = cv2.boundingRect((coverage > 0.5).astype(np.uint8))
    size, (rows, columns) = max(width, height), coverage.shape
    lines = np.zeros(coverage.shape, np.uint8)
    edges = ((top, True), (top + height, True), (top + height, True), (left, False), (left + width, False))
    for index in random.permutation(len(edges))[: random.integers(1, 3)]:
        edge, is_level = edges[index]
        place = round(float(edge + random.normal(0, 0.06) * size))
        start, end = ((0, place), (columns, place)) if is_level else ((place, 0), (place, rows))
        cv2.line(lines, start, end, (255,), max(1, round(random.uniform(0.015, 0.06) * size)), cv2.LINE_AA)
    return np.asarray(np.maximum(coverage, lines * np.float32(random.uniform(0.4, 1) / 255)), np.float32)


def tight_crop(coverage: Plane, random: np.random.Generator) -> Picture:
    """Reduce a digit to a few black and white pixels without paper around it, as old collections do.

    Args:
        coverage: float32 [h, w], 0 … 1.
        random: Source of the draws.

    Returns:
        uint8, mostly [16, 16], of 0 and 255; ink dark or light, perhaps enlarged. Mostly stretched to a square.
    """
    left, top, width, height = cv2.boundingRect((coverage > 0.5).astype(np.uint8))
    ink = coverage[top : top + height, left : left + width]
    side = _SIDE if random.random() < 0.8 else int(random.integers(10, 25))
    columns = side if random.random() < 0.75 else max(3, round(side * min(1.0, width / height)))
    small = cv2.resize(ink, (columns, side), interpolation=cv2.INTER_AREA)
    binary = (small > random.uniform(0.2, 0.7)).astype(np.uint8) * np.uint8(255)
    margin = int(random.integers(0, 3)) if random.random() < 0.3 else 0
    binary = np.pad(binary, margin)
    if random.random() < 0.3:
        times = int(random.integers(2, 7))
        binary = np.kron(binary, np.ones((times, times), np.uint8))
    return 255 - binary if random.random() < 0.5 else binary


def _in_a_scene(coverage: Plane, digit_height: float, random: np.random.Generator) -> Picture:
    return scenes.choose_scene(random, _SCENES)(coverage, digit_height, random)


def _any_frame(random: np.random.Generator) -> Frame:
    return _FRAMES[int(random.integers(len(_FRAMES)))]


def _snug(low: Point, high: Point, random: np.random.Generator) -> tuple[Point, Point]:
    """Frame a digit with just enough room for a thick pen."""
    return low - 0.3, high + 0.3


def _roomy(low: Point, high: Point, random: np.random.Generator) -> tuple[Point, Point]:
    """Frame a number with room for what is cut off later."""
    return low - 0.4, high + 0.4


def _canvas(low: Point, high: Point, random: np.random.Generator) -> tuple[Point, Point]:
    """Frame a digit by a drawing area, square or wide, anywhere in it."""
    width, height = high - low
    tall = max(width, height) * random.uniform(1.1, 3.0)
    size = np.array([tall * (random.uniform(1, 2.5) if random.random() < 0.3 else 1.0), tall])
    start = low - (size - (width, height)) * random.beta(3, 3, 2)
    return start, start + size


_FRAMES: tuple[Frame, ...] = (writing.tight, writing.cell, writing.loose, _canvas, _canvas)


def _in_form(coverage: Plane) -> Picture:
    return np.asarray(fit((coverage * 255).astype(np.uint8)))


def _similarity(first: Picture, second: Picture) -> float:
    """Return the cosine similarity of two blurred pictures, 0 to 1; 0 if one is empty."""
    a, b = (cv2.GaussianBlur(each.astype(np.float32), (0, 0), _SOFT).ravel() for each in (first, second))
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-6))
