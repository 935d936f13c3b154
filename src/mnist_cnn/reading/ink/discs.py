"""A filled disc with a digit on it in another colour: a badge, a sticker. A thick 0 looks much the same."""

from __future__ import annotations

import cv2
import numpy as np

from mnist_cnn.reading.ink.pixels import Pixels, filled, shrink, unlike_border

_THUMBNAIL = 160  # pixels, longer side of the image in which the disc is looked for
_LEAST_SIDE = 40  # pixels of its shorter side there
_ROUND = 0.94  # of its convex hull's area that a disc covers; strokes with a tail or a waist cover less
_SOLID = 0.72  # of the disc's area that is not the digit; a 0 with a smaller share has a smooth counter
_SPECK = 0.004  # of the disc's area: the smallest hole, and the smallest island in a hole
_SMOOTH, _LOOPED = 0.72, 0.92  # of its convex hull's area that a counter covers at least; with an island in it
_BAR, _WIDE = 0.5, 0.85  # width of a slim hole relative to its length; width of a disc, not of a 0, to its height
_CONTRAST = 40.0  # grey levels between the disc and its surroundings
_NEAR, _SHARP = 7, 0.5  # pixels across the disc's edge; the step there, as a share of that contrast
_ONLY = 0.7  # of the area of all holes that the only one covers; an 8 has two
_SMALL, _ROUGH = 0.12, 0.8  # of the disc's area, a hole that may be a digit; of its hull's, one with a rough outline
_EDGE = 2  # pixels of the thumbnail: the disc's blurred edge


def on_disc(grey: Pixels) -> tuple[Pixels, bool] | None:
    """Cut a filled disc out, and fill its surroundings with the level of the disc.

    Args:
        grey: uint8 [h, w].

    Returns:
        The part of the image, uint8, and whether there is certainly a digit on it. None if there is no disc, or if
        its hole makes it a 0.
    """
    small, scale = shrink(grey, _THUMBNAIL)
    if min(small.shape) < _LEAST_SIDE:
        return None
    solid = unlike_border(small)
    disc = _disc(solid)
    if disc is None or not _has_sharp_edge(small, solid, disc):
        return None
    whole = filled(disc, solid)
    is_clear = _shows_digit(solid, disc, whole)
    if is_clear is None:
        return None
    level = float(np.median(small[cv2.bitwise_and(whole, solid) > 0]))
    inside = cv2.erode(whole, np.ones((2 * _EDGE + 1,) * 2, np.uint8), borderValue=0)
    left, top, width, height = cv2.boundingRect(whole)
    rows = slice(round(top / scale), round((top + height) / scale))
    columns = slice(round(left / scale), round((left + width) / scale))
    kept = cv2.resize(inside, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)[rows, columns]
    return np.where(kept > 0, grey[rows, columns], np.uint8(level)), is_clear


def _disc(solid: Pixels) -> Pixels | None:
    """Return the outline of the largest shape if it is convex."""
    outlines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    largest = max(outlines, key=cv2.contourArea)
    left, top, width, height = cv2.boundingRect(largest)
    is_whole = min(left, top) > 0 and left + width < solid.shape[1] and top + height < solid.shape[0]
    return largest if is_whole and min(width, height) >= _LEAST_SIDE and _convexity(largest) > _ROUND else None


def _has_sharp_edge(grey: Pixels, solid: Pixels, disc: Pixels) -> bool:
    """Return whether grey levels jump at a disc's edge; around a spot of light they do not."""
    contrast = abs(cv2.mean(grey, solid)[0] - cv2.mean(grey, 1 - solid)[0])
    steps = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((_NEAR, _NEAR), np.uint8))[disc[:, 0, 1], disc[:, 0, 0]]
    return contrast > _CONTRAST and float(np.median(steps)) > _SHARP * contrast


def _convexity(outline: Pixels) -> float:
    """Return an outline's area as a share of its convex hull's."""
    return cv2.contourArea(outline) / max(cv2.contourArea(cv2.convexHull(outline)), 1)


def _shows_digit(solid: Pixels, disc: Pixels, whole: Pixels) -> bool | None:
    """Return whether the largest hole certainly has the shape of a digit; None for the counter of a 0.

    Args:
        solid: uint8 [h, w], 1 on the disc but not in its holes.
        disc: The disc's outline.
        whole: uint8 [h, w], 1 on the disc and in its holes.
    """
    area = cv2.countNonZero(whole)
    holes = cv2.bitwise_and(whole, 1 - solid)
    outlines, _ = cv2.findContours(holes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines or cv2.countNonZero(holes) > (1 - _SOLID) * area:
        return None
    hole = max(outlines, key=cv2.contourArea)
    if cv2.contourArea(hole) < _SPECK * area:
        return None
    convexity, islands = _convexity(hole), _islands(solid, hole, _SPECK * area)
    if convexity < _SMOOTH or islands > 1 or (islands and convexity < _LOOPED):
        return True
    is_small = cv2.contourArea(hole) < _SMALL * area
    return False if is_small and not islands and (convexity < _ROUGH or _is_one(hole, disc, holes)) else None


def _is_one(hole: Pixels, disc: Pixels, holes: Pixels) -> bool:
    """Return whether a hole may be a 1: slim, alone, and in a disc that is wider than a 0."""
    _, sides, _ = cv2.minAreaRect(hole)
    _, _, width, height = cv2.boundingRect(disc)
    is_only = cv2.contourArea(hole) > _ONLY * cv2.countNonZero(holes)
    return min(sides) < _BAR * max(sides) and width > _WIDE * height and is_only


def _islands(solid: Pixels, hole: Pixels, least: float) -> int:
    """Count the parts of the disc within a hole's outline: the counters of a digit."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.bitwise_and(filled(hole, solid), solid), connectivity=4)
    return int(np.count_nonzero(stats[1:, cv2.CC_STAT_AREA] > least))
