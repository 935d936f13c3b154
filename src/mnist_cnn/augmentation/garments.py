"""Filled shapes with the outlines of things that people photograph: clothes, shoes, bags. None of them is a digit.

Outlines are polygons in a square of side 1, x to the right and y down. They are drawn finely and then reduced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from mnist_cnn.reading.conventions import IMAGE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.uint8]  # [_FINE, _FINE], 0 or 1
    Shades = NDArray[np.float32]  # [_FINE, _FINE], 0 … 1

Polygon: TypeAlias = "list[tuple[float, float]]"

_FINE = 4 * IMAGE_SIZE  # pixels, side of the drawing before it is reduced
_WHITE = 255


def draw_garment(random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one thing: uint8 [28, 28], light on 0, nearly as large as the picture."""
    outline = _OUTLINES[random.integers(len(_OUTLINES))](random)
    picture = outline * _shades(random) * _WHITE
    small = cv2.resize(picture, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(small.clip(0, _WHITE), np.uint8)


def _filled(polygons: list[Polygon], holes: list[Polygon] | None = None) -> Mask:
    mask = np.zeros((_FINE, _FINE), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [_places(polygon)], (1,))
    for hole in holes or []:
        cv2.fillPoly(mask, [_places(hole)], (0,))
    return mask


def _places(polygon: Polygon) -> NDArray[np.int32]:
    return np.asarray(np.rint(np.array(polygon) * _FINE), np.int32)


def _symmetric(half: Polygon) -> Polygon:
    """Complete an outline whose right half, from top to bottom, is given as distances from the middle."""
    right = [(0.5 + x, y) for x, y in half]
    return right + [(1 - x, y) for x, y in reversed(right)]


def _upper(random: np.random.Generator) -> Mask:
    """A shirt, a pullover, a dress or a coat: body, neck opening and sleeves of any length."""
    shoulder, waist, hem = random.uniform(0.13, 0.3), random.uniform(0.1, 0.26), random.uniform(0.12, 0.34)
    top, bottom = random.uniform(0.0, 0.1), random.uniform(0.8, 1.0)
    body = _symmetric([(0.08, top), (shoulder, top + 0.05), (waist, 0.5), (hem, bottom)])
    neck = _symmetric([(random.uniform(0.04, 0.12), top - 0.02), (0.02, top + random.uniform(0.03, 0.2))])
    front = [_slit(random, bottom)] if random.random() < 0.3 else []
    return _filled([body, *_sleeves(shoulder, top, random)], [neck, *front])


def _sleeves(shoulder: float, top: float, random: np.random.Generator) -> list[Polygon]:
    length = random.choice((0.0, 0.25, 0.5, 0.8)) * random.uniform(0.8, 1.1)
    if not length:
        return []
    lean, width = random.uniform(0.1, 0.9), random.uniform(0.08, 0.16)
    x, y = shoulder + length * np.sin(lean), top + 0.05 + length * np.cos(lean)
    across, down = width * np.cos(lean), width * np.sin(lean)
    right = [(shoulder, top + 0.03), (x, y - down / 2), (x - across, y + down / 2), (shoulder - across, top + 0.25)]
    return [[(0.5 + side * px, py) for px, py in right] for side in (-1, 1)]


def _slit(random: np.random.Generator, bottom: float) -> Polygon:
    """A coat that is open in front."""
    width = random.uniform(0.01, 0.05)
    return [(0.5 - width / 3, random.uniform(0.1, 0.4)), (0.5 + width / 3, 0.3), (0.5 + width, bottom), (0.5, bottom)]


def _straps(random: np.random.Generator) -> Mask:
    """A top or a dress with straps."""
    side, hem, start = random.uniform(0.1, 0.22), random.uniform(0.12, 0.36), random.uniform(0.12, 0.3)
    body = _symmetric([(side, start), (side * random.uniform(0.7, 1.1), 0.5), (hem, random.uniform(0.85, 1.0))])
    width = random.uniform(0.02, 0.06)
    strap = [(side * 0.5, 0.0), (side * 0.5 + width, 0.0), (side, start + 0.02), (side - 2 * width, start + 0.02)]
    return _filled([body, *([(0.5 + sign * x, y) for x, y in strap] for sign in (-1, 1))])


def _trousers(random: np.random.Generator) -> Mask:
    """Trousers or shorts: two legs with a gap."""
    hip, cuff, bottom = random.uniform(0.12, 0.24), random.uniform(0.08, 0.3), random.choice((0.6, 1.0, 1.0))
    crotch, gap = random.uniform(0.2, 0.45), random.uniform(0.005, 0.08)
    body = _symmetric([(hip * 0.8, 0.0), (hip, 0.2), (max(cuff, gap + 0.05), bottom)])
    between = [(0.5, crotch), (0.5 + gap, bottom + 0.01), (0.5 - gap, bottom + 0.01)]
    return _filled([body], [between])


def _shoe(random: np.random.Generator) -> Mask:
    """A shoe or a boot from the side, perhaps with a heel or openings."""
    shaft, instep, toe = random.uniform(0.05, 0.5), random.uniform(0.45, 0.65), random.uniform(0.6, 0.78)
    sole, heel = random.uniform(0.76, 0.9), random.uniform(0.25, 0.45)
    outline = [(0.03, shaft), (heel, shaft), (0.5, instep), (0.95, toe), (0.98, sole), (0.6, sole)]
    outline += [(0.3, sole - random.uniform(0, 0.15)), (0.2, sole + 0.05), (0.04, sole + 0.05)]
    x = random.uniform(0.1, 0.5, int(random.integers(0, 4)))
    holes: list[Polygon] = [[(a, 0.72), (a + 0.04, 0.55), (a + 0.12, 0.58), (a + 0.09, 0.74)] for a in x]
    mask = _filled([outline], holes)
    return np.ascontiguousarray(mask[:, ::-1]) if random.random() < 0.5 else mask


def _bag(random: np.random.Generator) -> Mask:
    """A bag with a handle."""
    top, bottom, wide = random.uniform(0.25, 0.5), random.uniform(0.8, 1.0), random.uniform(0.3, 0.5)
    mask = _filled([_symmetric([(wide * random.uniform(0.7, 1), top), (wide, bottom)])])
    axes = (round(wide * random.uniform(0.4, 0.9) * _FINE), round(top * random.uniform(0.5, 0.98) * _FINE))
    thickness = int(random.integers(2, 9))
    cv2.ellipse(mask, (_FINE // 2, round(top * _FINE)), axes, 0, 180, 360, (1,), thickness)
    return mask


_OUTLINES: tuple[Callable[[np.random.Generator], NDArray[np.uint8]], ...] = (
    _upper, _upper, _upper, _straps, _trousers, _shoe, _shoe, _bag,
)  # fmt: skip


def _shades(random: np.random.Generator) -> Shades:
    """Draw cloth: even, with soft folds, stripes, a print, or blocks of two tones."""
    shades = np.full((_FINE, _FINE), random.uniform(0.25, 1.0), np.float32)
    for paint in _PAINTS:
        if random.random() < 0.35:
            shades *= paint(random)
    return shades.clip(0, 1)


def _folds(random: np.random.Generator) -> Shades:
    coarse = 1 + random.normal(0, random.uniform(0.05, 0.3), (int(random.integers(2, 5)), int(random.integers(3, 9))))
    return cv2.resize(coarse.astype(np.float32), (_FINE, _FINE), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def _stripes(random: np.random.Generator) -> Shades:
    along = np.arange(_FINE) / _FINE * random.uniform(3, 14)
    bars = np.where(along % 1 < random.uniform(0.2, 0.8), 1.0, random.uniform(0.2, 0.9)).astype(np.float32)
    wide = np.broadcast_to(bars, (_FINE, _FINE))
    return wide.T if random.random() < 0.7 else wide


def _print(random: np.random.Generator) -> Shades:
    """A block or blots in the middle, like letters or a picture."""
    grains = int(random.integers(1, 9))
    shades = np.ones((_FINE, _FINE), np.float32)
    left, top = random.uniform(0.3, 0.45), random.uniform(0.2, 0.6)
    rows = slice(round(top * _FINE), round((top + random.uniform(0.05, 0.35)) * _FINE))
    columns = slice(round(left * _FINE), round((1 - left) * _FINE))
    size = (columns.stop - columns.start, rows.stop - rows.start)
    blots = random.uniform(0.1, 1.6, (grains, grains)).astype(np.float32)
    shades[rows, columns] = cv2.resize(blots, size, interpolation=cv2.INTER_NEAREST)
    return shades


def _blocks(random: np.random.Generator) -> Shades:
    shades = np.ones((_FINE, _FINE), np.float32)
    shades[: round(random.uniform(0.2, 0.8) * _FINE)] = random.uniform(0.2, 1.5)
    return shades.T if random.random() < 0.2 else shades


_PAINTS = (_folds, _folds, _stripes, _print, _blocks)
