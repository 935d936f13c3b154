"""The shapes of ink in a picture of a number, divided where digits may touch, for `number_cutting`."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mnist_cnn.reading.ink import form
from mnist_cnn.reading.ink.lines import without_lines
from mnist_cnn.reading.ink.pixels import Pixels, border
from mnist_cnn.reading.numbers.line_preparation import PreparedLine

# All numbers were chosen on development pictures of cheques and ledgers.
HEIGHT, NARROWEST = 64, 16  # pixels, of the picture that is divided
INK, EDGE = 0.85, 80  # the edge of a stroke: of Otsu's threshold (1979); the level that this becomes
FAINTEST = 0.01  # of the paper's light; less is noise
SOFT, FULL = 40, 170  # levels that are paper and full ink to the recogniser
SLANTS = np.arange(-0.2, 1.05, 0.1)  # pixels to the right per pixel upwards

# Shares of the picture's height:
LINE, THICKEST = 0.75, 0.14  # runs of ink that are longer, and thinner, are lines
LOW = 0.25  # what touches the border and is lower is cut off
RIM, ALONE = 0.25, 0.1  # a narrow shape that is so near an end, and so far from the others, is a frame's side,
NARROW = 0.3  # if this is its ratio of width and height

# Shares of the digits' height:
SPECK = 0.01  # of its square: the least ink of a part of a digit
WIDE, APART, THROUGH = 0.55, 0.2, 0.6  # of the narrowest shape that is cut; between cuts; the most ink in a cut

Run: TypeAlias = "tuple[int, int]"  # the first part, and the one after the last


@dataclass(frozen=True)
class Outline:
    """The outline of neighbouring parts together."""

    height: float  #: a share of the digits' height
    cuts: int  #: where they end although the ink goes on


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a picture, from left to right."""

    ink: Pixels  #: uint8 [64, w], levels
    labels: Pixels  #: int32 [64, w], 0 on paper, i + 1 on part i
    spans: list[tuple[int, int]]  #: the first column of each part, and the one after its last
    unit: float  #: pixels, the height of digits

    def width(self, run: Run) -> float:
        """Return the width of neighbouring parts together, a share of the digits' height."""
        lefts, rights = zip(*self.spans[slice(*run)], strict=True)
        return float(max(rights) - min(lefts)) / self.unit

    def outline(self, run: Run) -> Outline:
        """Measure neighbouring parts together."""
        inside, inked = self._inside(run), self.labels > 0
        height = np.ptp(np.flatnonzero(inside.any(axis=1))) + 1
        is_cut = (inside[:, 1:] != inside[:, :-1]) & inked[:, 1:] & inked[:, :-1]
        return Outline(height / self.unit, int(np.count_nonzero(is_cut.any(axis=0))))

    def picture(self, run: Run) -> Pixels:
        """Draw neighbouring parts alone, in MNIST's form: uint8 [28, 28]."""
        mask = cv2.dilate(self._inside(run).astype(np.uint8), np.ones((3, 3), np.uint8))
        levels = ((self.ink - np.float32(SOFT)) * (255 / (FULL - SOFT))).clip(0, 255).astype(np.uint8) * mask
        left, top, width, height = cv2.boundingRect(levels)
        return form.fit(form.even_strokes(form.magnify(levels[top : top + height, left : left + width])))

    def _inside(self, run: Run) -> NDArray[np.bool_]:
        marked: NDArray[np.bool_] = (self.labels > run[0]) & (self.labels <= run[1])
        return marked


def divide(line: PreparedLine) -> Parts:
    """Find the shapes of ink in a picture, and cut those that may be several digits.

    Args:
        line: From `line_preparation`.
    """
    ink = _upright(_without_print(_levels(line.image if line.darkness is None else line.darkness)))
    count, shapes, stats, _ = cv2.connectedComponentsWithStats((ink > EDGE).astype(np.uint8))
    labels = np.zeros_like(shapes)
    if count == 1:
        return Parts(ink, labels, [], 1.0)
    unit = _digit_height(stats[1:])
    parts = []
    for shape in np.flatnonzero(stats[:, 4] > SPECK * unit**2)[1:].tolist():
        left, top, width, height, _ = stats[shape].tolist()
        inside = shapes[top : top + height, left : left + width] == shape
        edges = [left, *(left + column for column in _cuts(inside.sum(axis=0), unit)), left + width]
        parts += [(first + last, shape, (first, last)) for first, last in itertools.pairwise(edges)]
    parts.sort()
    for label, (_, shape, (first, last)) in enumerate(parts, 1):
        labels[:, first:last][shapes[:, first:last] == shape] = label
    return Parts(ink, labels, [span for *_, span in parts], unit)


def _levels(darkness: Pixels) -> Pixels:
    """Scale a picture: uint8 [64, w], above `EDGE` on strokes."""
    scale = HEIGHT / darkness.shape[0]
    size = max(NARROWEST, round(darkness.shape[1] * scale)), HEIGHT
    scaled = cv2.resize(darkness, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    dark = cv2.GaussianBlur(scaled, (0, 0), 1)
    rows, columns = HEIGHT // 10, size[0] // 10  # frames are in this rim
    inner = dark[rows:-rows, columns:-columns]
    full = max(float(inner.max()), FAINTEST)
    grey = (inner * (255 / full)).clip(0, 255).astype(np.uint8)
    threshold = INK * full / 255 * cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]
    return np.asarray((dark * (EDGE / max(threshold, FAINTEST))).clip(0, 255).astype(np.uint8))


def _without_print(ink: Pixels) -> Pixels:
    """Remove lines and frames, and what is cut off, or above or below the number."""
    mask = without_lines((ink > EDGE).astype(np.uint8), ink)
    lines = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, round(LINE * HEIGHT)), np.uint8))
    strokes = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((round(THICKEST * HEIGHT), 1), np.uint8))
    mask[(cv2.dilate(lines, np.ones((3, 1), np.uint8)) > 0) & (strokes == 0)] = 0
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    top, height = stats[:, 1], stats[:, 3]
    is_cut_off = np.isin(np.arange(len(stats)), border(labels)) & (height < LOW * HEIGHT)
    kept = ~(is_cut_off | _sides_of_frame(stats, mask.shape[1]))
    kept[0] = False
    if kept.any():
        high = kept & (height > height[kept].max() / 2)
        kept &= (top < (top + height)[high].max()) & (top + height > top[high].min())
    return ink * cv2.dilate(kept[labels].astype(np.uint8), np.ones((3, 3), np.uint8))


def _sides_of_frame(stats: Pixels, columns: int) -> NDArray[np.bool_]:
    """Mark narrow shapes that stand apart at an end of the picture."""
    left, _, width, height, _ = stats.T
    gaps = np.maximum(left[:, np.newaxis] - (left + width), left - (left + width)[:, np.newaxis])  # [n, n]
    gaps[:, height < LOW * HEIGHT] = columns
    gaps[:, 0] = columns  # the paper
    np.fill_diagonal(gaps, columns)
    is_at_end = np.minimum(left + width / 2, columns - left - width / 2) < RIM * HEIGHT
    marked: NDArray[np.bool_] = is_at_end & (width < NARROW * height) & (gaps.min(axis=1) > ALONE * HEIGHT)
    return marked


def _upright(ink: Pixels) -> Pixels:
    """Shear a picture so that its strokes are upright: then the numbers of inked pixels in the columns differ most."""
    rows, columns = np.nonzero(ink > EDGE)
    counts = [np.bincount((columns + slant * rows + HEIGHT).astype(int), minlength=1) for slant in SLANTS]
    slant = float(SLANTS[np.argmax([(each**2).sum() for each in counts])])
    room = math.ceil(abs(slant) * HEIGHT / 2)
    shear = np.array([[1, slant, room - slant * HEIGHT / 2], [0, 1, 0]])
    return cv2.warpAffine(ink, shear, (ink.shape[1] + 2 * room, HEIGHT))


def _digit_height(stats: Pixels) -> float:
    """Return the height of shapes that have half of the ink, where high ones count more."""
    order = np.argsort(stats[:, 3])
    weights = np.cumsum((stats[:, 3] * stats[:, 4])[order])
    return float(stats[order, 3][np.searchsorted(weights, weights[-1] / 2)])


def _cuts(inked: NDArray[np.intp], unit: float) -> list[int]:
    """Choose the columns of a shape with the least ink, some distance apart.

    Args:
        inked: [w], number of pixels of ink in each column.
        unit: Pixels, the height of digits.
    """
    found = list[int]()
    if len(inked) < WIDE * unit:
        return found
    smooth = cv2.blur(inked.astype(np.float32)[np.newaxis], (3, 1))[0]
    apart = max(2.0, APART * unit)
    for column in np.argsort(smooth, kind="stable").tolist():
        if smooth[column] < THROUGH * unit and all(abs(column - other) >= apart for other in (0, len(inked), *found)):
            found.append(column)
    return sorted(found)
