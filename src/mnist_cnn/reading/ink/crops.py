"""A digit cropped so tightly that it reaches all four sides of its image, with too little paper to measure."""

from __future__ import annotations

import cv2
import numpy as np

from mnist_cnn.reading.ink.pixels import Pixels, border, largest_part, lighter, shrink

_THUMBNAIL = 128  # pixels, longer side of the image that is examined
_NEARLY = 0.04  # of the image's height and width: the blurred edge of a stroke
_SNUG = 0.15  # of them: the paper on each side if no ink is on the border
_ONE = 0.9  # share of the ink that is one connected part
_BORDER = 0.75  # of the image's border; a frame or a surrounding shadow covers more
_MUCH = 0.15  # of the image; if ink covers less, there is enough paper
_DISTINCT = 0.8  # between-class share of the variance of grey levels; noise has 0.64, a gradient 0.75
_TOUCHES = 8  # places where ink meets the border; the lines of squared paper meet it more often
_CORNERS = 3  # number of the image's corners that ink may cover
_STROKES = 0.6  # like _DISTINCT, for blurred strokes in a small image
_THICKEST = 0.42  # of the longer side: strokes are thinner, shadows mostly thicker
_COARSE = 0.5  # of the standard deviation is left by averaging 3×3 pixels; of noise, a third
_LEAST_SIDE = 8  # pixels of the shorter side
_ROOM = 0.5  # of the longer side: width of the added paper


def uncropped(grey: Pixels) -> Pixels | None:
    """Add paper around a tight crop; None if the image, uint8 [h, w], is not one.

    If one connected part of the ink reaches all four sides, it divides the paper, which then cannot do the same. So
    it is certain which of the two is the ink.
    """
    small, _ = shrink(grey, _THUMBNAIL)
    light = lighter(small)
    fills = [_reaches_all_sides(ink) for ink in (1 - light, light)]
    if fills[0] == fills[1] or _separation(small, light) < _DISTINCT:
        return None
    room = round(_ROOM * max(grey.shape))
    paper = float(np.median(small[light == fills[0]]))
    return cv2.copyMakeBorder(grey, room, room, room, room, cv2.BORDER_CONSTANT, value=paper)


def with_room(grey: Pixels) -> Pixels | None:
    """Add paper around a small image in which nothing was found because its ink is cut off on several sides.

    Old collections of digits are cropped like this: without paper on any side, or with parts of the neighbours.

    Args:
        grey: uint8 [h, w].

    Returns:
        None if the image is large, or not made of strokes on paper.
    """
    if max(grey.shape) > _THUMBNAIL or min(grey.shape) < _LEAST_SIDE:
        return None
    light = lighter(grey)
    ink = light if light.mean() < 0.5 else 1 - light
    if not (_is_cut_off(ink) and _has_strokes(grey, ink)) or _separation(grey, light) < _STROKES:
        return None
    room = round(_ROOM * max(grey.shape))
    paper = float(np.median(grey[ink == 0]))
    return cv2.copyMakeBorder(grey, room, room, room, room, cv2.BORDER_CONSTANT, value=paper)


def _is_cut_off(ink: Pixels) -> bool:
    """Return whether there is ink on several sides."""
    return sum(bool(side.any()) for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1])) > 1


def _has_strokes(grey: Pixels, ink: Pixels) -> bool:
    """Return whether the ink is thinner than a shadow, and coarser than noise."""
    thickness = 2 * cv2.minMaxLoc(cv2.distanceTransform(ink, cv2.DIST_L2, 3))[1]
    return thickness < _THICKEST * max(grey.shape) and float(cv2.blur(grey, (3, 3)).std()) > _COARSE * float(grey.std())


def _reaches_all_sides(ink: Pixels) -> bool:
    """Return whether one part of the ink, uint8 [h, w] of 0 and 1, touches all sides without covering them."""
    around = border(ink)
    corners = int(ink[0, 0]) + int(ink[0, -1]) + int(ink[-1, 0]) + int(ink[-1, -1])
    touches = np.count_nonzero(around[1:] > around[:-1])
    if around.mean() > _BORDER or corners > _CORNERS or touches > _TOUCHES or ink.mean() < _MUCH:
        return False
    part = largest_part(ink, connectivity=8)
    if part is None:
        return False
    left, top, width, height, area = part[1]
    nearly = _NEARLY if around.any() else _SNUG
    across, down = (1 + nearly * side for side in ink.shape[::-1])
    reaches = left <= across and top <= down and left + width >= ink.shape[1] - across
    return bool(reaches and top + height >= ink.shape[0] - down and area > _ONE * cv2.countNonZero(ink))


def _separation(grey: Pixels, light: Pixels) -> float:
    """Return the between-class share of the variance of grey levels, 0 to 1 (Otsu's η)."""
    share = float(light.mean())
    gap = cv2.mean(grey, light)[0] - cv2.mean(grey, 1 - light)[0]
    return share * (1 - share) * gap**2 / max(float(grey.var()), 1e-9)
