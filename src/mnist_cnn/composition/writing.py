"""Handwritten numbers: digits of one hand, side by side, with everything that real writers put between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mnist_cnn.composition import marks
from mnist_cnn.composition.hands import Stroke
from mnist_cnn.composition.pen import Pen

if TYPE_CHECKING:
    from numpy.typing import NDArray

Writer: TypeAlias = Callable[[int, np.random.Generator], list[Stroke]]  # a digit → its strokes, 1 high from 0 to 1

Point: TypeAlias = "NDArray[np.floating]"  # (x, y), digit heights
Frame: TypeAlias = Callable[[Point, Point, np.random.Generator], tuple[Point, Point]]
# From the upper left and lower right corner of the ink to those of the picture.

_BANDS = 20  # of equal height, in which the distance between neighbours is measured
_BAND_TOP, _BAND_BOTTOM = -0.6, 1.6  # digit heights
_SMALLEST_ZERO = 0.5  # of other digits; smaller ones could be dots
_BEHIND = 0.2  # digit heights: how far a digit's centre may lie behind the right edge of the one before
_APART = 0.15  # digit heights, between a word and a digit
_INSIDE = 0.3  # share of a neighbouring digit that may be inside the picture; of more, one could read it
_LINE_GAP = (0.05, 0.7)  # digit heights, between numbers below each other
_FINEST, _COARSEST = 44, 68  # pixels, height of a digit when drawn

_AT_LEFT_LINE = 0.2  # share of the numbers in boxes
# Shares of the numbers that are crossed out, that have neighbours, and that have marks in these places.
_CROSSED, _NEIGHBOURED = 0.04, 0.1
_THOUSANDS, _TRAILING, _LEADING, _ANYWHERE, _WORD = 0.35, 0.18, 0.1, 0.06, 0.03


@dataclass(frozen=True, eq=False)
class WrittenLine:
    """A number as it was written, before it is put on paper."""

    coverage: NDArray[np.float32]  #: float32 [h, w], share of ink in each pixel
    text: str  #: the digits that can be read; empty if nothing is a number, or if it is crossed out
    boxes: NDArray[np.float32]  #: float32 [n, 4], left, top, right, bottom of each digit, pixels
    digit_height: float  #: pixels


@dataclass(frozen=True)
class WritingStyle:
    """How one writer sets digits beside each other. Lengths in digit heights."""

    gap: float  #: least distance between two digits; below 0 they overlap
    gap_spread: float  #: standard deviation of the gap
    size_spread: float  #: standard deviation of the digits' size
    stretch: float  #: width of digits, 1 as written
    slant: float  #: shift to the right per height
    slant_spread: float  #: standard deviation of the slant
    rise: float  #: slope of the baseline, upwards to the right
    baseline_spread: float  #: standard deviation of the baseline
    zero_size: float  #: size of zeros, relative to other digits
    joined: float  #: probability that two digits are joined by a stroke

    @classmethod
    def random(cls, random: np.random.Generator) -> WritingStyle:
        """Choose the habits of a writer."""
        tightness = random.random()
        if tightness < 0.4:
            gap = random.uniform(-0.1, 0.1)
        elif tightness < 0.85:
            gap = random.uniform(0.08, 0.35)
        else:
            gap = random.uniform(0.3, 1.0)
        careless = random.random() < 0.3
        return cls(
            gap=gap,
            gap_spread=0.03 + 0.2 * abs(gap),
            size_spread=random.uniform(0.1, 0.2) if careless else random.uniform(0.02, 0.11),
            stretch=float(np.exp(random.normal(0.12, 0.22))),
            slant=float(np.clip(random.normal(0.1, 0.2), -0.35, 0.75)),
            slant_spread=random.uniform(0.02, 0.1),
            rise=float(random.normal(0, 0.04)),
            baseline_spread=random.uniform(0.05, 0.14) if careless else random.uniform(0, 0.05),
            zero_size=random.uniform(_SMALLEST_ZERO, 0.95) if random.random() < 0.55 else 1.0,
            joined=random.uniform(0.2, 0.9) if random.random() < 0.18 else 0.0,
        )


def compose_line(
    text: str,
    write: Writer,
    frame: Frame,
    random: np.random.Generator,
    *,
    pen: Pen | None = None,
    clean: bool = False,
) -> WrittenLine:
    """Write a number with one hand, one pen and one style.

    Args:
        text: The digits, at least one.
        write: Writes a digit.
        frame: Chooses the borders of the picture.
        random: Source of the draws.
        pen: None for any.
        clean: Whether to leave out marks, neighbours and crossings-out.
    """
    style, pen = WritingStyle.random(random), pen or Pen.random(random)
    digits, others = _set_out(text, write, style, pen, random, clean)
    everything = [stroke for strokes in (*digits, *others) for stroke in strokes]
    crossed = not clean and random.random() < _CROSSED
    if crossed:
        everything += _crossing_out(digits, random)
    borders = _framed(everything, frame, random)
    neighbours = [] if clean else _neighbours(borders, write, random)
    return _drawn("" if crossed else text, digits, [*everything, *neighbours], borders, pen, random)


def stack(texts: Sequence[str], write: Writer, random: np.random.Generator) -> list[Stroke]:
    """Write numbers of one hand below each other, so that nobody can say which of them is meant."""
    style, pen = WritingStyle.random(random), Pen.random(random)
    strokes: list[Stroke] = []
    for text in texts:
        digits, others = _set_out(text, write, style, pen, random, clean=True)
        line = [stroke for each in (*digits, *others) for stroke in each]
        below = max((float(stroke[:, 1].max()) for stroke in strokes), default=0.0)
        gap = below + random.uniform(*_LINE_GAP) - min(float(stroke[:, 1].min()) for stroke in line)
        strokes += _moved(line, random.normal(0, 0.3), gap)
    return strokes


def compose_other(strokes: list[Stroke], frame: Frame, random: np.random.Generator) -> WrittenLine:
    """Draw what is not a number, such as a word."""
    return _drawn("", [], strokes, _framed(strokes, frame, random), Pen.random(random), random)


def _set_out(
    text: str, write: Writer, style: WritingStyle, pen: Pen, random: np.random.Generator, clean: bool
) -> tuple[list[list[Stroke]], list[list[Stroke]]]:
    """Place digits from left to right; return the strokes of each digit, and those of marks and joints."""
    row = _TextRow(style, pen, random)
    thousands = not clean and random.random() < _THOUSANDS
    digits: list[list[Stroke]] = []
    joints: list[list[Stroke]] = []
    if not clean and random.random() < _LEADING:
        row.mark_end(_WORD / _LEADING, marks.opening)
    is_marked = False
    for index, name in enumerate(text):
        gap = float(random.normal(style.gap, style.gap_spread))
        digits.append(row.place(_formed(int(name), write, style, index, random), max(gap, -0.2)))
        if len(digits) > 1 and not is_marked and random.random() < style.joined:
            joints += _joint(digits[-2], digits[-1])
        left = len(text) - 1 - index
        is_marked = left > 0 and (
            (thousands and left % 3 == 0) or (not clean and random.random() < _ANYWHERE / len(text))
        )
        if is_marked:
            row.mark(marks.separator(random))
    if not clean and random.random() < _TRAILING:
        row.mark_end(_WORD / _TRAILING, marks.closing)
    return digits, row.marks + joints


class _TextRow:
    """Sets digits and marks beside each other, from left to right.

    Attributes:
        marks: The strokes of each mark that was placed.
    """

    def __init__(self, style: WritingStyle, pen: Pen, random: np.random.Generator) -> None:
        self._style, self._pen, self._random = style, pen, random
        self._edge = np.full(_BANDS, -np.inf, np.float32)  # the rightmost ink of each band
        self.marks: list[list[Stroke]] = []

    def place(self, strokes: list[Stroke], gap: float) -> list[Stroke]:
        """Place strokes at a distance from what stands there."""
        band, x = _bands(strokes)
        shift = np.float32(_advance(self._edge, band, x) + gap + self._pen.width)
        self._edge = np.maximum(self._edge, _right_edges(band, x + shift))
        return _moved(strokes, shift, 0.0)

    def mark(self, strokes: list[Stroke], nearest: float = -0.06) -> None:
        """Place a mark that is to be passed over."""
        self.marks.append(self.place(_slanted(strokes, self._style.slant), self._random.uniform(nearest, 0.35)))

    def mark_end(self, words: float, sign: Callable[[np.random.Generator], list[Stroke]]) -> None:
        """Place a word, with the probability `words`, or a sign."""
        if self._random.random() < words:
            self.mark(marks.word(self._random), _APART)
        else:
            self.mark(sign(self._random))


def _formed(digit: int, write: Writer, style: WritingStyle, index: int, random: np.random.Generator) -> list[Stroke]:
    """Write a digit with the style's size, slant and baseline."""
    size = float(np.clip(random.normal(1, style.size_spread), 0.6, 1.5))
    if digit == 0:
        size = max(size * style.zero_size, _SMALLEST_ZERO)
    slant = style.slant + random.normal(0, style.slant_spread)
    shape = np.array([[style.stretch, 0], [-slant, 1]], np.float32) * np.float32(size)  # row vectors
    base = 1 + random.normal(0, style.baseline_spread) - style.rise * 0.8 * index
    if digit == 0 and style.zero_size < 1 and random.random() < 0.3:
        base -= (1 - size) * random.uniform(0, 1)  # small zeros float
    return _standing(write(digit, random), shape, base)


def _slanted(strokes: list[Stroke], slant: float) -> list[Stroke]:
    return _standing(strokes, np.array([[1, 0], [-slant, 1]], np.float32), 1.0)


def _standing(strokes: Sequence[Stroke], shape: NDArray[np.float32], base: float) -> list[Stroke]:
    """Deform strokes by a matrix of row vectors about their baseline, and place that at the height `base`."""
    shift = np.array([0, base], np.float32) - shape[1]  # the baseline is at y = 1 before
    return [stroke @ shape + shift for stroke in strokes]


def _moved(strokes: Sequence[Stroke], x: float | np.float32, y: float) -> list[Stroke]:
    shift = np.array([x, y], np.float32)
    return [stroke + shift for stroke in strokes]


def _bands(strokes: Sequence[Stroke]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the band of each point, [n], and its x, float32 [n]."""
    points = np.concatenate(strokes)
    band = (points[:, 1] - _BAND_TOP) * (_BANDS / (_BAND_BOTTOM - _BAND_TOP))
    return np.minimum(np.maximum(band, 0), _BANDS - 1).astype(np.intp), points[:, 0]


def _right_edges(band: NDArray[np.intp], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rightmost ink of each band, widened to the bands above and below."""
    edges = np.full(_BANDS + 2, -np.inf, np.float32)
    np.maximum.at(edges, band + 1, x)
    widened: NDArray[np.float32] = np.maximum(np.maximum(edges[:-2], edges[2:]), edges[1:-1])
    return widened


def _advance(edge: NDArray[np.float32], band: NDArray[np.intp], x: NDArray[np.float32]) -> float:
    """Return how far to move strokes to the right until they touch what stands there, in some band."""
    rightmost = float(edge.max())
    if rightmost == -np.inf:  # nothing stands there
        return -float(x.min())
    facing = (edge[band] - x).max()
    centre = rightmost - _BEHIND - float(x.mean())  # a digit does not slip under its neighbour
    return max(float(facing), centre)


def _joint(before: list[Stroke], after: list[Stroke]) -> list[list[Stroke]]:
    start, end = before[-1][-1], after[0][0]
    if np.linalg.norm(end - start) > 0.9:
        return []
    middle = (start + end) / 2 + np.array([0, 0.08], np.float32)
    return [[np.stack([start, middle, end]).astype(np.float32)]]


def _crossing_out(digits: list[list[Stroke]], random: np.random.Generator) -> list[Stroke]:
    points = np.concatenate([stroke for strokes in digits for stroke in strokes])
    low, high = points.min(axis=0), points.max(axis=0)
    strokes = marks.crossing_out(float(high[0] - low[0]), random)
    return _moved(strokes, float(low[0]), float((low[1] + high[1]) / 2 - 0.5))


def _neighbours(borders: tuple[Point, Point], write: Writer, random: np.random.Generator) -> list[Stroke]:
    """Write digits of neighbouring fields, most of which is outside the picture: below, above or beside."""
    if random.random() >= _NEIGHBOURED:
        return []
    low, high = borders
    side = int(random.integers(4))
    found: list[Stroke] = []
    for _ in range(int(random.integers(1, 4))):
        strokes = write(int(random.integers(10)), random)
        points = np.concatenate(strokes)
        least, most = points.min(axis=0), points.max(axis=0)
        inside = random.uniform(-0.1, _INSIDE) * (most - least)
        along = low - least + random.random(2) * (high - most - low + least)  # a frame may be smaller than a digit
        places = (
            (along[0], low[1] + inside[1] - most[1]),
            (along[0], high[1] - inside[1] - least[1]),
            (low[0] + inside[0] - most[0], along[1]),
            (high[0] - inside[0] - least[0], along[1]),
        )
        found += _moved(strokes, *places[side])
    return found


def _framed(strokes: list[Stroke], frame: Frame, random: np.random.Generator) -> tuple[Point, Point]:
    points = np.concatenate(strokes)
    return frame(points.min(axis=0), points.max(axis=0), random)


def _drawn(
    text: str,
    digits: list[list[Stroke]],
    strokes: list[Stroke],
    borders: tuple[Point, Point],
    pen: Pen,
    random: np.random.Generator,
) -> WrittenLine:
    """Draw what is inside the borders of the picture."""
    scale = float(random.uniform(_FINEST, _COARSEST))
    low, high = borders
    shape = (max(8, round((high[1] - low[1]) * scale)), max(8, round((high[0] - low[0]) * scale)))
    place = (-low * scale).astype(np.float32)
    coverage = pen.draw([stroke * np.float32(scale) + place for stroke in strokes], shape, scale)
    boxes = np.array([_box(each, pen.width / 2) for each in digits] if text else [], np.float32).reshape(-1, 4)
    return WrittenLine(coverage, text, boxes * np.float32(scale) + np.tile(place, 2), scale)


def tight(low: Point, high: Point, random: np.random.Generator) -> tuple[Point, Point]:
    """Frame a number closely, as someone who cuts it out would; sometimes a little of the ink is cut off."""
    cut = -0.1 if random.random() < 0.2 else 0.0
    left, top, right, bottom = random.uniform(cut, 0.3, 4) * random.uniform(0.3, 1.3, 4)
    if random.random() < 0.25:  # one side is wide: a long dash was cut off, or another line stands above
        right, top = right + random.exponential(0.3), top + random.exponential(0.2)
    return low - np.array([left, top]), high + np.array([right, bottom])


def cell(low: Point, high: Point, random: np.random.Generator) -> tuple[Point, Point]:
    """Frame a number by a box of a form: mostly smaller than the box, anywhere in it."""
    width, height = high - low
    field_height = height / random.uniform(0.35, 0.9)
    field_width = max(field_height * random.uniform(1.2, 2.4), width * random.uniform(0.95, 1.2))
    room = np.array([field_width, field_height]) - (width, height)
    start = low - room * random.beta(2, 2, 2)
    if random.random() < _AT_LEFT_LINE:  # where a 1 and the box's line can be confused
        start[0] = low[0] - min(room[0], height * random.uniform(0.02, 0.3))
    if random.random() < 0.12:  # written over the box's upper or lower line
        start[1] = low[1] + height * random.uniform(0, 0.12) if random.random() < 0.7 else high[1] - field_height - 0.12
    return start, start + np.array([field_width, field_height])


def loose(low: Point, high: Point, random: np.random.Generator) -> tuple[Point, Point]:
    """Frame a number with room on all sides."""
    left, top, right, bottom = random.uniform(0, 1, 4) * random.choice((0.4, 1.0)) * np.array([1.4, 0.9, 1.4, 0.9])
    return low - np.array([left, top]), high + np.array([right, bottom])


def _box(strokes: Sequence[Stroke], radius: float) -> NDArray[np.float32]:
    points = np.concatenate(strokes)
    return np.concatenate([points.min(axis=0) - radius, points.max(axis=0) + radius])
