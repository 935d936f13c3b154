"""Lines printed on the paper: ruled or squared paper, the frame of a form's field."""

from __future__ import annotations

import math

import cv2
import numpy as np

from mnist_cnn.reading.ink.form import stroke_width
from mnist_cnn.reading.ink.pixels import Pixels

_SMALLEST = 60  # pixels, shorter side; in a smaller image, a line looks like a digit's bar
_RUN = 1 / 12  # of the width: the shortest horizontal piece of a line; a line tilted by 5° still has such pieces
_THICKEST = 1 / 25  # of the height
_GAP = 2 / 3  # of the width: the longest part of the line that a digit hides
_COVER = 0.25  # of the width that the pieces of a line must cover
_SPAN = 0.9  # of the width, from its first piece to its last
_SLIGHTER = 0.7  # thickness or darkness of a line, relative to the digit's strokes
_MANY = 3  # parallel lines across the whole image; no digit has that many

_ENCLOSED = 0.9  # of the area of all other ink
_FRAMED = 0.2  # of the frame's shorter side: the smallest extent of its contents
_BAND = 0.1  # of the frame's shorter side: the band that contains each side, even if it is bent or tilted
_CLOSED = 0.9  # of each side's length within the band; a round 0 has 0.6


def frame_around(mask: Pixels) -> tuple[Pixels, tuple[slice, slice]] | None:
    """Find a rectangle around nearly everything else, such as the frame of a form's field.

    Args:
        mask: uint8 [h, w], 1 on ink.

    Returns:
        Its mask, bool [h, w], and the rows and columns inside; None if there is none.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if len(stats) < 3:  # the paper and one shape
        return None
    start, extent, areas = stats[1:, :2], stats[1:, 2:4], stats[1:, 4]
    if not _is_around(outer := int(extent.prod(axis=1).argmax()), start, extent, areas):
        return None
    left, top, width, height = stats[outer + 1, :4].tolist()
    box = slice(top, top + height), slice(left, left + width)
    frame: Pixels = labels == outer + 1
    if not _is_rectangle(frame[box]):
        return None
    inset = 1 + round(float(areas[outer]) / (width + height))  # twice the line's width
    return frame, (slice(top + inset, top + height - inset), slice(left + inset, left + width - inset))


def _is_around(outer: int, start: Pixels, extent: Pixels, areas: Pixels) -> bool:
    """Return whether one shape's box encloses nearly all other ink, and its contents are large enough for a digit."""
    inside = ((start > start[outer]) & (start + extent < start[outer] + extent[outer])).all(axis=1)
    others = areas.sum() - areas[outer]
    return bool(areas[inside].sum() > _ENCLOSED * others and extent[inside].max() > _FRAMED * extent[outer].min())


def _is_rectangle(shape: Pixels) -> bool:
    """Return whether a shape, bool [h, w], runs along all four sides of its box and nowhere else."""
    band = max(2, round(_BAND * min(shape.shape)))
    sides = shape[:band].any(0), shape[-band:].any(0), shape[:, :band].any(1), shape[:, -band:].any(1)
    within = np.count_nonzero(shape[band:-band, band:-band])
    return all(side.mean() > _CLOSED for side in sides) and bool(within < (1 - _CLOSED) * np.count_nonzero(shape))


def without_lines(mask: Pixels, ink: Pixels) -> Pixels:
    """Remove horizontal and vertical lines that run across the whole image from a mask of ink.

    Strokes that cross a line stay. A bar that is as thick and dark as the rest stays too, unless it is one of many: in
    a tight crop, it is the top of a 7.

    Args:
        mask: uint8 [h, w], 1 on ink.
        ink: uint8 [h, w], the ink map.
    """
    if min(mask.shape) < _SMALLEST:
        return mask
    level = _without_level_lines(mask, ink)
    return np.ascontiguousarray(_without_level_lines(np.ascontiguousarray(level.T), ink.T).T)


def _without_level_lines(mask: Pixels, ink: Pixels) -> Pixels:
    strokes = _runs(mask, round(mask.shape[0] * _THICKEST) + 2, upright=True)
    pieces = _runs(mask, round(mask.shape[1] * _RUN)) & ~strokes & 1
    lines, number = _spanning(pieces)
    if number == 0:
        return mask
    near: Pixels = cv2.dilate(lines, np.ones((5, 1), np.uint8))  # frayed edges have no runs
    rest = mask & ~(near & ~(strokes | _thicker(mask, lines, number))) & 1
    return rest if number >= _MANY or _slighter(lines, rest, ink, number) else mask


def _thicker(mask: Pixels, lines: Pixels, number: int) -> Pixels:
    """Keep shapes 1.5 times as thick as the lines: a bar on a line, or along it."""
    thickness = float(np.median(np.count_nonzero(lines, axis=0))) / number  # a digit covers less than half of a line
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((math.ceil(1.5 * thickness) + 1,) * 2, np.uint8))


def _runs(mask: Pixels, length: int, upright: bool = False) -> Pixels:
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((length, 1) if upright else (1, length), np.uint8))


def _spanning(pieces: Pixels) -> tuple[Pixels, int]:
    """Return the pieces that reach across when gaps are closed, and the number of lines."""
    width = pieces.shape[1]
    if cv2.countNonZero(pieces) < _COVER * width:
        return pieces, 0
    joined = cv2.dilate(pieces, np.ones((3, round(width * _GAP)), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    labels[pieces == 0] = 0
    kept = [label for label in range(1, count) if _reaches_across(labels == label)]
    return np.isin(labels, kept).astype(np.uint8), len(kept)


def _reaches_across(line: Pixels) -> bool:
    columns = np.flatnonzero(line.any(0))
    width = line.shape[1]
    return bool(len(columns) > _COVER * width and columns[-1] - columns[0] >= _SPAN * width - 1)


def _slighter(lines: Pixels, rest: Pixels, ink: Pixels, number: int) -> bool:
    if not rest.any():
        return True
    columns = int(np.count_nonzero(lines.any(0))) * number
    return bool(
        np.count_nonzero(lines) / max(columns, 1) < _SLIGHTER * stroke_width(rest)
        or cv2.mean(ink, lines)[0] < _SLIGHTER * cv2.mean(ink, rest)[0]
    )
