"""Hollow digits: only the outlines of their strokes are drawn."""

from __future__ import annotations

import cv2
import numpy as np

from mnist_cnn.reading.ink.form import stroke_width
from mnist_cnn.reading.ink.pixels import Pixels

_LINE = 0.065  # of the digit's longer side: the widest line that is an outline
_STROKE = 0.24  # of it: the widest stroke between two outlines; the inside of a round 0 is wider
_BESIDE = 0.85  # of the lines' area that is beside such strokes
_LONG = 4.0  # their area relative to a square as wide as they are; the insides of a narrow 0 or 8 are shorter
_GAP = 0.07  # of the digit's longer side: the widest gap in an outline


def filled(fine: Pixels) -> Pixels:
    """Fill the strokes of a hollow digit.

    The strokes are the narrow regions that the outlines separate from the paper around the digit. Regions that they
    separate only from strokes are holes. Small loops of a thin pen look like strokes, too; therefore a digit is hollow
    only if nearly all of its lines run along such regions, and if these are long.

    Args:
        fine: uint8 [h, w], one digit, light on 0, with a margin.

    Returns:
        The same array if the digit is not hollow.
    """
    _, _, width, height = cv2.boundingRect((fine > 127).astype(np.uint8))
    size = max(width, height)
    lines = (fine > 127).astype(np.uint8)
    thickness = stroke_width(lines)
    if not size or thickness > _LINE * size:
        return fine
    closed: Pixels = cv2.morphologyEx(lines, cv2.MORPH_CLOSE, _disc(_GAP * size))
    strokes: Pixels = _narrow_regions(closed, thickness, _STROKE * size) | (closed & ~lines & 1)
    beside = cv2.bitwise_and(cv2.dilate(strokes, _disc(2 * thickness)), lines)
    widest = 2 * cv2.minMaxLoc(cv2.distanceTransform(strokes, cv2.DIST_L2, 3))[1]
    if cv2.countNonZero(beside) < _BESIDE * cv2.countNonZero(lines) or cv2.countNonZero(strokes) < _LONG * widest**2:
        return fine
    filled_in: Pixels = np.maximum(fine, strokes * np.uint8(255))
    return filled_in


def _narrow_regions(lines: Pixels, thickness: float, widest: float) -> Pixels:
    """Mark enclosed regions with 1 that are narrow and only one line away from the paper around the digit."""
    bare = 1 - lines
    count, labels = cv2.connectedComponents(bare, connectivity=4)
    depth = cv2.distanceTransform(bare, cv2.DIST_L2, 3)
    outside = labels == labels[0, 0]
    near = cv2.dilate(outside.astype(np.uint8), _disc(2 * (thickness + 2))) > 0
    marked = np.zeros_like(lines)
    for label in range(1, count):
        region = labels == label
        if not region[0, 0] and 2 * float(depth[region].max()) <= widest and near[region].mean() > 0.2:
            marked[region] = 1
    return marked


def _disc(diameter: float) -> Pixels:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(diameter / 2) + 1,) * 2)
