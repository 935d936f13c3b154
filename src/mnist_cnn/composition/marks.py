"""Pen marks that are not digits: separators, crossings-out, words and clutter.

A mark is a list of strokes. A stroke is a polyline, float32 [n, 2], of points (x, y) in digit heights: y points down,
the top of a digit is y = 0, the baseline y = 1, and the leftmost ink lies at about x = 0.
"""

from __future__ import annotations

import bisect
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from mnist_cnn.composition.hands import Stroke

    Mark = Callable[[np.random.Generator], list[Stroke]]

_STEPS = 8  # points drawn between two control points
_T = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
# Catmull & Rom 1974: each row weighs four control points.
_BASIS = np.concatenate([_T**3, _T**2, _T, np.ones_like(_T)], axis=1) @ np.array(
    [[-0.5, 1.5, -1.5, 0.5], [1.0, -2.5, 2.0, -0.5], [-0.5, 0.0, 0.5, 0.0], [0.0, 1.0, 0.0, 0.0]]
)  # (8, 4)


def separator(random: np.random.Generator) -> list[Stroke]:
    """Draw a mark that is passed over between or beside digits: point, comma, dash, currency sign and the like."""
    return _drawn(_SEPARATORS, random)


def opening(random: np.random.Generator) -> list[Stroke]:
    """Draw a mark that people write before a number: currency sign, '#', dash, '='."""
    return _drawn(_OPENINGS, random)


def closing(random: np.random.Generator) -> list[Stroke]:
    """Draw a mark that people write after a number: '.-', a long dash or wave, a point, '='."""
    return _drawn(_CLOSINGS, random)


def crossing_out(width: float, random: np.random.Generator) -> list[Stroke]:
    """Draw strokes that delete a number of `width` digit heights."""
    kinds = (_struck, _struck, _zigzag, _scribbled, _big_cross)
    return kinds[random.integers(len(kinds))](width, random)


def word(random: np.random.Generator) -> list[Stroke]:
    """Draw a word or a signature, of letters that no digit resembles."""
    return _signature(random) if random.random() < 0.3 else _letters(random)


def clutter(random: np.random.Generator) -> list[Stroke]:
    """Draw something other than a number: tick, arrow, hatching, loops, an outline."""
    return _CLUTTER[random.integers(len(_CLUTTER))](random)


def curve(points: ArrayLike) -> Stroke:
    """Draw a smooth stroke through control points (Catmull–Rom): float32 [8 (n - 1) + 1, 2]."""
    controls = np.asarray(points, np.float64)
    padded = np.concatenate([controls[:1], controls, controls[-1:]])
    quads = np.stack([padded[i : len(padded) - 3 + i] for i in range(4)], axis=1)  # (n - 1, 4, 2)
    smooth = np.einsum("sk,nkd->nsd", _BASIS, quads).reshape(-1, 2)
    return np.concatenate([smooth, controls[-1:]]).astype(np.float32)


def _segments(points: ArrayLike) -> Stroke:
    """Draw straight segments between points."""
    return np.asarray(points, np.float32)


def _shaken(points: ArrayLike, amount: float, random: np.random.Generator) -> NDArray[np.floating]:
    """Move every control point by about `amount` digit heights."""
    controls = np.asarray(points, np.float64)
    return controls + random.normal(0, amount, controls.shape)


def _drawn(weights: dict[Mark, float], random: np.random.Generator) -> list[Stroke]:
    """Draw a kind of mark in proportion to its weight."""
    bounds = list(accumulate(weights.values()))
    return list(weights)[bisect.bisect_right(bounds, random.random() * bounds[-1])](random)


# Separators


def _dot_at(x: float, y: float, random: np.random.Generator) -> Stroke:
    """A touch of the pen, 0.02 … 0.15 digit heights long."""
    angle, length = random.uniform(0, np.pi), 0.02 + min(random.exponential(0.03), 0.13)
    return _segments([(x, y), (x + length * np.cos(angle), y + length * np.sin(angle) + 0.002)])


def _dot(random: np.random.Generator) -> list[Stroke]:
    return [_dot_at(0, random.normal(0.97, 0.07), random)]


def _comma(random: np.random.Generator) -> list[Stroke]:
    length, lean = random.uniform(0.1, 0.5), random.uniform(0.0, 0.6)
    y = random.normal(0.92, 0.06)
    return [curve([(lean * length, y), (lean * length + 0.03, y + length * 0.5), (0, y + length)])]


def _apostrophe(random: np.random.Generator) -> list[Stroke]:
    return _shifted(_comma(random), 0, -random.normal(0.95, 0.08))


def _dash_at(x: float, y: float, length: float, random: np.random.Generator) -> Stroke:
    return curve(_shaken([(x, y), (x + length / 2, y), (x + length, y)], 0.03 * min(1, length), random))


def _dash(random: np.random.Generator) -> list[Stroke]:
    return [_dash_at(0, random.normal(0.6, 0.12), random.uniform(0.15, 0.7), random)]


def _equals(random: np.random.Generator) -> list[Stroke]:
    y, gap, length = random.normal(0.45, 0.1), random.uniform(0.12, 0.3), random.uniform(0.25, 0.8)
    return [_dash_at(0, y, length, random), _dash_at(0, y + gap, length * random.uniform(0.8, 1.2), random)]


def _filling(random: np.random.Generator) -> list[Stroke]:
    """A long dash or wave that fills the rest of the line."""
    length, y = random.uniform(0.6, 2.5), random.normal(0.6, 0.12)
    count = int(random.integers(2, 9))
    swing = random.choice([0, 0.06, 0.15]) * random.uniform(0.5, 1.5)
    return [curve([(length * i / count, y + swing * (-1) ** i) for i in range(count + 1)])]


def _hash(random: np.random.Generator) -> list[Stroke]:
    width, lean = random.uniform(0.35, 0.7), random.uniform(0, 0.2)
    strokes = [[(x + lean, 0.1), (x, 1.0)] for x in (width * 0.3, width * 0.7)]
    strokes += [[(0, y), (width + lean, y - 0.05)] for y in (0.38, 0.72)]
    return [curve(_shaken(stroke, 0.03, random)) for stroke in strokes]


def _dollar(random: np.random.Generator) -> list[Stroke]:
    body = [(0.5, 0.18), (0.25, 0.1), (0.02, 0.28), (0.25, 0.5), (0.5, 0.72), (0.25, 0.92), (0, 0.8)]
    bars = [[(x + 0.06, -0.1), (x - 0.02, 1.12)] for x in ([0.26] if random.random() < 0.6 else [0.18, 0.34])]
    return [curve(_shaken(stroke, 0.025, random)) for stroke in (body, *bars)]


def _euro(random: np.random.Generator) -> list[Stroke]:
    body = [(0.6, 0.2), (0.4, 0.03), (0.15, 0.25), (0.1, 0.5), (0.15, 0.75), (0.4, 0.97), (0.6, 0.8)]
    bars = [[(0, y), (0.48, y - 0.02)] for y in (0.42, 0.58)]
    return [curve(_shaken(stroke, 0.02, random)) for stroke in (body, *bars)]


def _pound(random: np.random.Generator) -> list[Stroke]:
    body = [(0.55, 0.18), (0.4, 0.02), (0.24, 0.2), (0.24, 0.6), (0.12, 0.95), (0.02, 0.9), (0.2, 0.9), (0.6, 0.97)]
    return [curve(_shaken(stroke, 0.02, random)) for stroke in (body, [(0.06, 0.52), (0.48, 0.5)])]


def _franc(random: np.random.Generator) -> list[Stroke]:
    strokes = [[(0.1, 0.0), (0.06, 0.5), (0, 1)], [(0.1, 0.02), (0.3, 0.0), (0.5, 0.0)], [(0.06, 0.5), (0.36, 0.48)]]
    r = [(0.42, 0.6), (0.42, 1.0), (0.44, 0.72), (0.55, 0.58), (0.62, 0.64)]
    return [curve(_shaken(stroke, 0.02, random)) for stroke in (*strokes, r)]


def _colon(random: np.random.Generator) -> list[Stroke]:
    return [_dot_at(0, random.normal(0.45, 0.06), random), _dot_at(0, random.normal(0.9, 0.06), random)]


def _dot_and_dash(random: np.random.Generator) -> list[Stroke]:
    """Closes an amount: '.-', '-.', ',--', '.='."""
    first = (_dot, _comma)[random.integers(2)](random)
    tail = (_dash, _dash, _filling, _equals)[random.integers(4)](random)
    return [*first, *_shifted(tail, random.uniform(0.1, 0.35), random.uniform(-0.1, 0.3))]


def _asterisk(random: np.random.Generator) -> list[Stroke]:
    radius, y = random.uniform(0.12, 0.3), random.normal(0.45, 0.1)
    turn = random.random()
    arms = [np.array([np.cos(a), np.sin(a)]) * radius for a in turn + np.pi / 3 * np.arange(3)]
    centre = np.array([radius, y])
    return [_segments([centre - arm, centre + arm]) for arm in arms]


def _underline(random: np.random.Generator) -> list[Stroke]:
    length, y = random.uniform(0.4, 2.5), random.uniform(1.08, 1.25)
    end = [(length * 0.9, y + 0.1), (length * 0.6, y + 0.15)] if random.random() < 0.3 else []
    return [curve(_shaken([(0, y), (length / 2, y), (length, y), *end], 0.02, random))]


def _degree(random: np.random.Generator) -> list[Stroke]:
    """A small circle high at the number's end, as in nº: much smaller than a digit."""
    radius = random.uniform(0.06, 0.11)
    angles = np.linspace(0, 2 * np.pi, 8) + random.random()
    circle = np.stack([radius * np.cos(angles) + radius, radius * np.sin(angles) + 0.1], axis=1)
    underline = [_dash_at(0, 0.32, 2 * radius, random)] if random.random() < 0.5 else []
    return [curve(circle), *underline]


def _shifted(strokes: list[Stroke], x: float, y: float) -> list[Stroke]:
    return [stroke + np.array([x, y], np.float32) for stroke in strokes]


# Kinds of marks with how often they are drawn, relative to each other.
_SEPARATORS: dict[Mark, float] = {
    _dot: 35, _comma: 14, _dash: 10, _apostrophe: 4, _colon: 2, _dot_and_dash: 5, _equals: 2, _hash: 1,
    _dollar: 2, _euro: 1, _pound: 0.5, _franc: 0.5, _asterisk: 1, _underline: 2, _degree: 1, _filling: 1,
}  # fmt: skip
_OPENINGS: dict[Mark, float] = {
    _dollar: 8, _euro: 2, _pound: 1, _franc: 2, _hash: 4, _equals: 4, _dash: 5, _asterisk: 3, _filling: 1, _dot: 3,
    _underline: 1,
}  # fmt: skip
_CLOSINGS: dict[Mark, float] = {
    _dot_and_dash: 12, _dash: 8, _filling: 8, _dot: 8, _equals: 5, _comma: 2, _hash: 2, _asterisk: 2, _degree: 1,
    _euro: 1, _franc: 1, _underline: 2,
}  # fmt: skip


# Crossings-out


def _struck(width: float, random: np.random.Generator) -> list[Stroke]:
    """Two to four firm lines; a single one could be printed on the paper."""
    strokes = []
    tilt = random.normal(0, 0.15)
    for _ in range(random.integers(2, 5)):
        y = random.uniform(0.3, 0.75)
        left, right = -random.uniform(0, 0.3), width + random.uniform(0, 0.3)
        ends = [(left, y + tilt), ((left + right) / 2, y), (right, y - tilt)]
        strokes.append(curve(_shaken(ends, 0.04, random)))
    return strokes


def _zigzag(width: float, random: np.random.Generator) -> list[Stroke]:
    """One stroke up and down over the whole number."""
    count = max(5, round(width / random.uniform(0.07, 0.25)))
    x = np.linspace(-0.1, width + 0.1, count)
    y = np.where(np.arange(count) % 2, random.uniform(0.7, 1.1), random.uniform(-0.1, 0.3))
    points = _shaken(np.stack([x, y], axis=1), 0.05, random)
    return [curve(points) if random.random() < 0.5 else points.astype(np.float32)]


def _scribbled(width: float, random: np.random.Generator) -> list[Stroke]:
    """Loops over the number, there and back."""
    turns = max(6, round(width * random.uniform(4, 9)))
    angle = np.linspace(0, 2 * np.pi * turns, 8 * turns)
    x = np.abs((angle / angle[-1] * random.choice([2, 4])) % 2 - 1) * width + 0.2 * np.cos(angle)
    y = 0.5 + random.uniform(0.3, 0.55) * np.sin(angle * random.uniform(0.9, 1.1))
    return [curve(_shaken(np.stack([x, y], axis=1), 0.03, random))]


def _big_cross(width: float, random: np.random.Generator) -> list[Stroke]:
    """Two diagonals over the whole number."""
    down = [(-0.05, -0.1), (width / 2, 0.5), (width + 0.05, 1.1)]
    up = [(-0.05, 1.1), (width / 2, 0.5), (width + 0.05, -0.1)]
    return [curve(_shaken(stroke, 0.05, random)) for stroke in (down, up)]


# Words. Letters stand on the baseline y = 1, with the x-height at 0.5. Each ends where the next may join.

_LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "n": [[(0, 0.5), (0.03, 1), (0.05, 0.7), (0.2, 0.5), (0.3, 0.65), (0.32, 1), (0.4, 0.95)]],
    "m": [[(0, 0.5), (0.02, 1), (0.06, 0.65), (0.16, 0.5), (0.22, 0.7), (0.23, 1), (0.27, 0.65), (0.38, 0.5),
           (0.44, 0.7), (0.46, 1), (0.55, 0.95)]],
    "r": [[(0, 0.6), (0.08, 0.5), (0.1, 0.75), (0.08, 1), (0.12, 0.7), (0.28, 0.5)]],
    "e": [[(0, 0.8), (0.18, 0.7), (0.2, 0.55), (0.1, 0.5), (0.02, 0.75), (0.12, 1), (0.32, 0.9)]],
    "k": [[(0.04, 0), (0, 1)], [(0.28, 0.5), (0.04, 0.75), (0.32, 1)]],
    "t": [[(0.12, 0.1), (0.1, 0.9), (0.2, 1), (0.3, 0.92)], [(0, 0.4), (0.28, 0.36)]],
    "u": [[(0, 0.5), (0.02, 0.9), (0.12, 1), (0.26, 0.85), (0.28, 0.5), (0.28, 0.9), (0.38, 0.95)]],
    "w": [[(0, 0.5), (0.1, 1), (0.2, 0.6), (0.32, 1), (0.44, 0.5)]],
    "x": [[(0, 0.5), (0.3, 1)], [(0.3, 0.5), (0, 1)]],
    "v": [[(0, 0.5), (0.14, 1), (0.3, 0.5)]],
    "f": [[(0.3, 0.1), (0.2, 0), (0.12, 0.2), (0.1, 1.3)], [(0, 0.5), (0.28, 0.48)]],
    "d": [[(0.28, 0.6), (0.12, 0.5), (0, 0.75), (0.1, 1), (0.28, 0.8), (0.32, 0), (0.3, 0.9), (0.4, 0.98)]],
    "M": [[(0, 1), (0.06, 0), (0.28, 0.7), (0.5, 0), (0.56, 1)]],
    "N": [[(0, 1), (0.02, 0), (0.4, 1), (0.42, 0)]],
    "E": [[(0.4, 0), (0, 0.02), (0, 1), (0.42, 0.98)], [(0, 0.5), (0.32, 0.48)]],
    "F": [[(0.4, 0), (0, 0.02), (0, 1)], [(0, 0.5), (0.32, 0.48)]],
    "H": [[(0, 0), (0, 1)], [(0.42, 0), (0.42, 1)], [(0, 0.5), (0.42, 0.48)]],
    "K": [[(0, 0), (0, 1)], [(0.4, 0), (0.02, 0.55), (0.42, 1)]],
    "R": [[(0, 1), (0, 0), (0.3, 0.05), (0.34, 0.3), (0.05, 0.5), (0.4, 1)]],
    "A": [[(0, 1), (0.25, 0), (0.5, 1)], [(0.1, 0.65), (0.42, 0.63)]],
    "T": [[(0, 0), (0.5, 0)], [(0.25, 0), (0.25, 1)]],
    "W": [[(0, 0), (0.18, 1), (0.34, 0.3), (0.5, 1), (0.68, 0)]],
    "X": [[(0, 0), (0.45, 1)], [(0.45, 0), (0, 1)]],
}  # fmt: skip
_SMALL, _CAPITAL = [c for c in _LETTERS if c.islower()], [c for c in _LETTERS if c.isupper()]


def _letters(random: np.random.Generator) -> list[Stroke]:
    """Two to nine letters, printed or joined, small or capital."""
    capitals = random.random() < 0.25
    strokes, x = [], 0.0
    spacing, wide = random.uniform(0.02, 0.2), random.uniform(0.8, 1.6)
    for index in range(random.integers(2, 10)):
        letters = _CAPITAL if capitals or (index == 0 and random.random() < 0.4) else _SMALL
        shapes = [np.array(shape) * [wide, 1] for shape in _LETTERS[letters[random.integers(len(letters))]]]
        strokes += [curve(_shaken(shape + np.array([x, 0]), 0.025, random)) for shape in shapes]
        x += max(shape[:, 0].max() for shape in shapes) + spacing
    return _joined(strokes) if not capitals and random.random() < 0.5 else strokes


def _joined(strokes: list[Stroke]) -> list[Stroke]:
    """Join strokes whose ends are near, as in cursive writing."""
    joined = [strokes[0]]
    for stroke in strokes[1:]:
        if np.hypot(*(stroke[0] - joined[-1][-1])) < 0.6:
            joined[-1] = np.concatenate([joined[-1], stroke])
        else:
            joined.append(stroke)
    return joined


def _signature(random: np.random.Generator) -> list[Stroke]:
    """One fast stroke with large loops at its start and ripples at its end, perhaps underlined."""
    count = int(random.integers(8, 26))
    x = np.cumsum(random.normal(0.12, 0.14, count))
    height = 0.6 * np.exp(-np.arange(count) / random.uniform(4, 15)) + 0.08
    y = 0.6 + height * np.where(np.arange(count) % 2, 1, -1) * random.uniform(0.5, 1.2, count)
    body = curve(np.stack([x - x.min(), y], axis=1))
    if random.random() < 0.5:
        return [body]
    length = float(body[:, 0].max())
    return [body, curve(_shaken([(0, 1.1), (length / 2, 1.05), (length, 0.9), (length * 0.4, 1.15)], 0.06, random))]


# Clutter


def _tick(random: np.random.Generator) -> list[Stroke]:
    reach = random.uniform(0.5, 1.2)
    return [curve(_shaken([(0, 0.6), (0.18, 0.95), (reach, -0.1)], 0.04, random))]


def _arrow(random: np.random.Generator) -> list[Stroke]:
    length, y = random.uniform(0.7, 2.5), random.uniform(0.3, 0.7)
    head = [(length - 0.25, y - 0.2), (length, y), (length - 0.25, y + 0.2)]
    return [_dash_at(0, y, length, random), _segments(head)]


def _hatched(random: np.random.Generator) -> list[Stroke]:
    """Parallel strokes, long and slanted."""
    lean, gap = random.uniform(0.3, 1.2), random.uniform(0.08, 0.3)
    shapes = [[(i * gap + lean, random.normal(-0.1, 0.08)), (i * gap, random.normal(1.1, 0.08))]
              for i in range(random.integers(5, 16))]  # fmt: skip
    return [curve(shape) for shape in shapes]


def _loops(random: np.random.Generator) -> list[Stroke]:
    """A running spiral, as when a pen is tried."""
    turns = int(random.integers(4, 11))
    angle = np.linspace(0, 2 * np.pi * turns, 8 * turns)
    x = random.uniform(0.03, 0.07) * angle + random.uniform(0.2, 0.4) * np.cos(angle)
    y = 0.5 + random.uniform(0.3, 0.5) * np.sin(angle)
    return [curve(_shaken(np.stack([x - x.min(), y], axis=1), 0.02, random))]


def _outline(random: np.random.Generator) -> list[Stroke]:
    """The closed outline of a stain."""
    count = int(random.integers(6, 12))
    angle = np.linspace(0, 2 * np.pi, count)
    radius = random.uniform(0.4, 0.75) * random.uniform(0.4, 1.2, count)
    radius[-1] = radius[0]
    stretch = random.uniform(1.8, 3.5)  # rounder ones are read as 0
    x = stretch * radius * np.cos(angle)
    return [curve(np.stack([x - x.min(), 0.5 + radius * np.sin(angle)], axis=1))]


def _garment(random: np.random.Generator) -> list[Stroke]:
    """The outline of a shirt or trousers."""
    shirt = [(0.4, 0), (0, 0.35), (0.15, 0.55), (0.3, 0.4), (0.3, 1.1), (0.9, 1.1), (0.9, 0.4), (1.05, 0.55),
             (1.2, 0.35), (0.8, 0), (0.6, 0.1), (0.4, 0)]  # fmt: skip
    trousers = [(0.1, 0), (0, 1.1), (0.3, 1.1), (0.4, 0.4), (0.5, 1.1), (0.8, 1.1), (0.7, 0), (0.1, 0)]
    outline = (shirt, trousers)[random.integers(2)]
    return [_shaken(outline, 0.03, random).astype(np.float32)]


def _bracket(random: np.random.Generator) -> list[Stroke]:
    """A pair of braces around nothing."""
    brace = np.array([(0.25, -0.05), (0.1, 0.1), (0.13, 0.4), (0, 0.5), (0.13, 0.6), (0.1, 0.95), (0.25, 1.1)])
    width = random.uniform(0.8, 2)
    return [curve(_shaken(shape, 0.02, random)) for shape in (brace, np.array([width, 0]) - brace * [1, -1])]


_CLUTTER: tuple[Mark, ...] = (_tick, _arrow, _hatched, _loops, _outline, _garment, _bracket)
