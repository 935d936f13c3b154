"""A sheet within contrasting surroundings: on a desk, in a thick frame, in a plotting library's figure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mnist_cnn.reading.ink.pixels import Pixels, filled, largest_part, scaled_size, shrink, unlike_border

_THUMBNAIL = 96  # pixels, longer side of the image in which the sheet is looked for
_LEAST_PICTURE = 36  # pixels, longer side of an image that can show a sheet and a digit on it
_SMALL = 64  # pixels; a smaller image is enlarged, so that a digit's strokes are thicker than the sheet's edge
_LEAST_SIDE = 12  # pixels of a sheet's shorter side there
_CONTRAST = 40.0  # grey levels between the sheet and its surroundings
_SLIMMEST = 0.35  # shorter side of a sheet relative to the longer one; a bold 1 is slimmer
_CORNERS = 0.05  # of the outline's length: how far it may deviate from straight lines between four corners
_STRAIGHT, _EXACT = 0.88, 0.95  # overlap (intersection over union) of the outline with its quadrilateral
_RIM = 0.06  # of the sheet's shorter side: a band along its edges, inside
_BARE = 0.92  # of that band
_RIVAL = 0.28  # of the sheet's area: another sheet beside it
_HOLE = 0.02  # of the sheet's area: the smallest hole
_RECTANGLE = 0.8  # of the smallest rectangle around it that a hole covers
_EMPTY = 0.98  # of its area
_EVEN = 2.5  # ratio of a hole's widest to its narrowest margin, both as wide as one stroke
_SHARP = 0.5  # of that contrast, within a few pixels of each side; less if the light falls off there
_ACROSS = 3  # pixels of the thumbnail on both sides of an edge
_SOLID, _MUCH = 0.6, 0.3  # of its box and of the assumed strokes that a strip covers; of the strip that they cover
_EDGE = 1.5  # pixels of the thumbnail: the sheet's blurred edge, a drawn frame around it


@dataclass(frozen=True)
class Sheet:
    """The position of a sheet."""

    corners: Pixels  # float32 [4, 2]: x and y in pixels of the image, clockwise from the upper left one
    contrast: float  # grey levels between it and its surroundings
    is_single: bool  # there is no other one beside it
    is_surrounded: bool  # none of its sides runs along the image's border
    is_exact: bool  # its sides are straight, unlike a blot's


def find_sheets(grey: Pixels) -> list[Sheet]:
    """Find the sheet in much darker or lighter surroundings: at most two candidates.

    If the surroundings are visible on one side only, sheet and surroundings may be confused; the blank one is wrong.

    Args:
        grey: uint8 [h, w].
    """
    longest = max(grey.shape)
    if longest < _LEAST_PICTURE:
        return []
    size = scaled_size(grey, _THUMBNAIL / longest if longest < _SMALL else min(1.0, _THUMBNAIL / longest))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)  # a fifth of the time of INTER_AREA
    if min(small.shape) < _LEAST_SIDE:
        return []
    inner = unlike_border(small)
    sheets = [_sheet_of(small, inner)]
    if _covers_side(inner) and (other := _sheet_of(small, 1 - inner)) and other.is_single:
        sheets.append(other)
    scales = np.array(grey.shape[::-1]) / size
    return [
        replace(sheet, corners=((_shrunk(sheet.corners) + 0.5) * scales - 0.5).astype(np.float32))
        for sheet in sheets
        if sheet
    ]


def _sheet_of(small: Pixels, inner: Pixels) -> Sheet | None:
    """Find the one sheet in its class of grey levels; its corners in pixels of the thumbnail.

    Args:
        small: uint8 [h, w], the thumbnail.
        inner: uint8 [h, w], 1 on the sheet's class.
    """
    outlines, _ = cv2.findContours(inner, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return None
    areas = [cv2.contourArea(outline) for outline in outlines]
    largest = int(np.argmax(areas))
    corners = _corners(outlines[largest])
    if corners is None:
        return None
    contrast = abs(cv2.mean(small, inner)[0] - cv2.mean(small, 1 - inner)[0])
    straight = _straightness(outlines[largest], corners, inner)
    if straight < _STRAIGHT or contrast < _CONTRAST or not _has_bare_rim(corners, inner):
        return None
    if not _has_sharp_edges(small, corners, contrast):
        return None
    is_single = sum(area > _RIVAL * areas[largest] for area in areas) == 1
    is_surrounded = bool((corners > _ACROSS).all() and (corners < np.array(small.shape[::-1]) - 1 - _ACROSS).all())
    return Sheet(corners, contrast, is_single, is_surrounded, straight > _EXACT)


def _covers_side(mask: Pixels) -> bool:
    """Return whether a mask of 0 and 1 covers (nearly) all of one side of the image."""
    return any(float(side.mean()) > _BARE for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def is_surround(grey: Pixels, mask: Pixels) -> bool:
    """Return whether the assumed strokes are a solid strip along one side of the image: a desk, a shadow.

    Args:
        grey: uint8 [h, w].
        mask: uint8 [h, w], 1 on the strokes.
    """
    strip = unlike_border(grey)
    found = largest_part(strip, connectivity=4) if _covers_side(strip) else None
    if found is None:
        return False
    part, (_, _, width, height, area) = found
    is_part = width < grey.shape[1] or height < grey.shape[0]
    strokes = cv2.countNonZero(mask)
    return bool(
        _covers_side(part)
        and is_part
        and area > _SOLID * width * height
        and cv2.countNonZero(cv2.bitwise_and(part, mask)) > _SOLID * strokes
        and strokes > _MUCH * area
    )


def straightened(grey: Pixels, corners: Pixels) -> Pixels:
    """Cut a sheet out of an image and correct its perspective, in its original size."""
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)  # upper, right, lower, left
    width, height = round(float(sides[::2].mean())), round(float(sides[1::2].mean()))
    goal = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    view = cv2.getPerspectiveTransform(corners, goal)
    return cv2.warpPerspective(grey, view, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def is_hollow(sheet: Pixels) -> bool:
    """Return whether a sheet is really the strokes of an angular 0 or 8, with nothing but empty holes in it.

    A bold 1 on a sheet looks like such a hole, but it is slimmer than the paper beside it.

    Args:
        sheet: uint8 [h, w], cut out.
    """
    holes = unlike_border(shrink(sheet, _THUMBNAIL)[0])
    outlines, _ = cv2.findContours(holes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = [outline for outline in outlines if cv2.contourArea(outline) > _HOLE * holes.size]
    if not outlines or not all(_is_bare_hole(outline, holes) for outline in outlines):
        return False
    left, top, width, height = cv2.boundingRect(np.concatenate(outlines))
    margins = np.array([left, top, holes.shape[1] - left - width, holes.shape[0] - top - height]) + _EDGE
    is_even = margins.max() <= _EVEN * margins.min()
    return len(outlines) > 1 or bool(is_even and margins.max() < min(width, height))


def _is_bare_hole(outline: Pixels, holes: Pixels) -> bool:
    """Return whether an outline is a rectangle's, upright or leaning, with nothing in it."""
    _, sides, _ = cv2.minAreaRect(outline)
    whole = filled(outline, holes)
    area = cv2.countNonZero(whole)
    bare = cv2.countNonZero(cv2.bitwise_and(whole, holes))
    return area > _RECTANGLE * (sides[0] + 1) * (sides[1] + 1) and bare > _EMPTY * area


def _corners(outline: Pixels) -> Pixels | None:
    """Return a quadrilateral's corners, float [4, 2], clockwise from the upper left one; None if it is not one."""
    hull = cv2.convexHull(outline)
    corners = cv2.approxPolyDP(hull, _CORNERS * cv2.arcLength(hull, True), True)[:, 0].astype(np.float64)
    if len(corners) != 4:
        return None
    _, sides, _ = cv2.minAreaRect(hull)
    if min(sides) < max(_LEAST_SIDE, _SLIMMEST * max(sides)):
        return None
    return np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)


def _straightness(outline: Pixels, corners: Pixels, mask: Pixels) -> float:
    within, between = filled(outline, mask), _between(corners, mask)
    both, either = cv2.bitwise_and(within, between), cv2.bitwise_or(within, between)
    return cv2.countNonZero(both) / max(cv2.countNonZero(either), 1)


def _between(corners: Pixels, mask: Pixels) -> Pixels:
    return cv2.fillConvexPoly(np.zeros_like(mask), np.rint(corners).astype(np.int32), 1)


def _has_bare_rim(corners: Pixels, mask: Pixels) -> bool:
    """Return whether a sheet's edges are bare all around; those of a digit as broad as a sheet are not."""
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    width = max(2, round(_RIM * float(sides.min())))
    sheet = cv2.erode(_between(corners, mask), np.ones((3, 3), np.uint8), borderValue=0)
    rim = sheet - cv2.erode(sheet, np.ones((2 * width + 1,) * 2, np.uint8), borderValue=0)
    return cv2.mean(mask, rim)[0] > _BARE


def _has_sharp_edges(grey: Pixels, corners: Pixels, contrast: float) -> bool:
    """Return whether grey levels jump at each side; where a shadow begins or light falls off they do not.

    A side along the image's border has nothing beside it, and passes.
    """
    last = np.array(grey.shape[::-1]) - 1
    onward = np.roll(corners, -1, axis=0) - corners
    outward = np.stack([onward[:, 1], -onward[:, 0]], axis=1) / np.hypot(*onward.T)[:, None]
    along, across = np.arange(0.1, 0.95, 0.05), np.arange(-_ACROSS, _ACROSS + 2)  # its last pixels are inside
    points = corners[:, None] + along[:, None] * onward[:, None]  # [4, along, 2]
    points = np.rint(points[:, :, None] + across[:, None] * outward[:, None, None]).astype(int)  # [4, along, across, 2]
    beyond = ((points[:, :, -1] < 0) | (points[:, :, -1] > last)).any(axis=2)
    points = points.clip(0, last)
    levels = grey[points[..., 1], points[..., 0]]
    steps = levels.max(axis=2).astype(float) - levels.min(axis=2)
    return all(
        outside.mean() > 0.5 or np.median(side[~outside]) > _SHARP * contrast
        for side, outside in zip(steps, beyond, strict=True)
    )


def _shrunk(corners: Pixels) -> Pixels:
    """Move corners inward along both sides, by the width of the edge."""
    onward = np.roll(corners, -1, axis=0) - corners
    onward /= np.hypot(*onward.T)[:, None]
    inner: Pixels = corners + _EDGE * (onward - np.roll(onward, 1, axis=0))
    return inner
