"""A filled disc with a digit left out of it in another colour: a badge, a sticker. A thick 0 is nearly one too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.reading.ink.views import shrink

if TYPE_CHECKING:
    from numpy.typing import NDArray

_THUMBNAIL = 160  # pixels, the longer side on which the disc is looked for
_LEAST_SIDE = 40  # pixels of its shorter side there
_ROUND = 0.94  # of its convex hull's area, what a disc covers; strokes with a tail or a waist cover less
_SOLID = 0.72  # of the disc's area, what is not the digit; a 0's counter is larger, if it is not smooth
_SPECK = 0.004  # of the disc's area: the smallest hole, and the smallest island in one
_SMOOTH, _LOOPED = 0.72, 0.92  # of its convex hull's area, what a hole covers: a counter more, one with an island
_BAR, _WIDE = 0.5, 0.85  # breadth of a slim hole, of its length; breadth of a disc, of its height: a 0's is less
_CONTRAST = 40.0  # grey levels between the disc and what is around it
_NEAR, _SHARP = 7, 0.5  # pixels across the disc's edge; the leap there, of that contrast
_ONLY = 0.7  # of the area of all holes, what the only one has; an 8 has two
_SMALL, _ROUGH = 0.12, 0.8  # of the disc's area, a hole that may be a digit; of its hull's, one that is rough
_EDGE = 2  # pixels of the thumbnail: the disc's blurred edge


def on_disc(grey: NDArray[Any]) -> tuple[NDArray[Any], bool] | None:
    """Cut a filled disc out, and lay its own level over what is around it.

    Args:
        grey: uint8 [h, w].

    Returns:
        The part of the picture, uint8, and whether there is clearly a digit on it; None where there is no disc,
        and where the hole in it makes it a 0.
    """
    small, scale = shrink(grey, _THUMBNAIL)
    if min(small.shape) < _LEAST_SIDE:
        return None
    light = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    solid = 1 - light if border.mean() > 0.5 else light
    disc = _disc(solid)
    if disc is None or not _has_sharp_edge(small, solid, disc):
        return None
    filled = cv2.drawContours(np.zeros_like(solid), [disc], -1, 1, cv2.FILLED)
    is_clear = _shows_digit(solid, disc, filled)
    if is_clear is None:
        return None
    level = float(np.median(small[cv2.bitwise_and(filled, solid) > 0]))
    inside = cv2.erode(filled, np.ones((2 * _EDGE + 1,) * 2, np.uint8), borderValue=0)
    left, top, width, height = cv2.boundingRect(filled)
    rows = slice(round(top / scale), round((top + height) / scale))
    columns = slice(round(left / scale), round((left + width) / scale))
    kept = cv2.resize(inside, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)[rows, columns]
    return np.where(kept > 0, grey[rows, columns], np.uint8(level)), is_clear


def _disc(solid: NDArray[Any]) -> NDArray[Any] | None:
    """Give the outline of the largest shape if it is convex."""
    outlines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    largest = max(outlines, key=cv2.contourArea)
    left, top, width, height = cv2.boundingRect(largest)
    is_whole = min(left, top) > 0 and left + width < solid.shape[1] and top + height < solid.shape[0]
    return largest if is_whole and min(width, height) >= _LEAST_SIDE and _convexity(largest) > _ROUND else None


def _has_sharp_edge(grey: NDArray[Any], solid: NDArray[Any], disc: NDArray[Any]) -> bool:
    """Whether grey levels leap at a disc's edge, as they do not around a spot of light."""
    contrast = abs(cv2.mean(grey, solid)[0] - cv2.mean(grey, 1 - solid)[0])
    steps = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((_NEAR, _NEAR), np.uint8))[disc[:, 0, 1], disc[:, 0, 0]]
    return contrast > _CONTRAST and float(np.median(steps)) > _SHARP * contrast


def _convexity(outline: NDArray[Any]) -> float:
    """Give an outline's area, of its convex hull's."""
    return cv2.contourArea(outline) / max(cv2.contourArea(cv2.convexHull(outline)), 1)


def _shows_digit(solid: NDArray[Any], disc: NDArray[Any], filled: NDArray[Any]) -> bool | None:
    """Whether the largest hole is clearly a digit's shape; None for the counter of a 0.

    Args:
        solid: uint8 [h, w], 1 on the disc but not in its holes.
        disc: The disc's outline.
        filled: uint8 [h, w], 1 on the disc and in its holes.
    """
    area = cv2.countNonZero(filled)
    holes = cv2.bitwise_and(filled, 1 - solid)
    if cv2.countNonZero(holes) > (1 - _SOLID) * area:
        return None
    outlines, _ = cv2.findContours(holes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    hole = max(outlines, key=cv2.contourArea)
    if cv2.contourArea(hole) < _SPECK * area:
        return None
    convexity, islands = _convexity(hole), _islands(solid, hole, _SPECK * area)
    if convexity < _SMOOTH or islands > 1 or (islands and convexity < _LOOPED):
        return True
    is_small = cv2.contourArea(hole) < _SMALL * area
    return False if is_small and not islands and (convexity < _ROUGH or _is_one(hole, disc, holes)) else None


def _is_one(hole: NDArray[Any], disc: NDArray[Any], holes: NDArray[Any]) -> bool:
    """Whether a hole may be a 1: slim, alone, and in a disc that is wider than a 0."""
    _, sides, _ = cv2.minAreaRect(hole)
    _, _, width, height = cv2.boundingRect(disc)
    is_only = cv2.contourArea(hole) > _ONLY * cv2.countNonZero(holes)
    return min(sides) < _BAR * max(sides) and width > _WIDE * height and is_only


def _islands(solid: NDArray[Any], hole: NDArray[Any], least: float) -> int:
    """Count the parts of the disc that lie within a hole's outline: the counters of a digit."""
    within = cv2.drawContours(np.zeros_like(solid), [hole], -1, 1, cv2.FILLED)
    _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.bitwise_and(within, solid), connectivity=4)
    return int(np.count_nonzero(stats[1:, cv2.CC_STAT_AREA] > least))
