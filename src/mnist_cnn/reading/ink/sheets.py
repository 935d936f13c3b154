"""A sheet that lies within a contrasting surround: on a desk, in a thick frame, in a plotting library's figure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_THUMBNAIL = 96  # pixels, the longer side on which the sheet is looked for
_LEAST_PICTURE = 36  # pixels, the longer side of a picture that shows a sheet and a digit on it
_SMALL = 64  # pixels; a picture with less is scaled up, so that a digit's strokes are thicker than the sheet's edge
_LEAST_SIDE = 12  # pixels of a sheet's shorter side there
_CONTRAST = 40.0  # grey levels between the sheet and what is around it
_SLIMMEST = 0.35  # the shorter side of a sheet, of the longer one: a bold 1 is slimmer
_CORNERS = 0.05  # of its outline's length: how far the outline may leave the straight lines between four corners
_STRAIGHT, _EXACT = 0.88, 0.95  # of the area within its outline or its four corners, what lies within both
_RIM = 0.06  # of the sheet's shorter side: a band along its edges, within
_BARE = 0.92  # of that band
_RIVAL = 0.28  # of the sheet's area: another sheet beside it
_HOLE = 0.02  # of the sheet's area: the smallest hole
_RECTANGLE = 0.8  # of the smallest rectangle around it: what a hole covers
_EMPTY = 0.98  # of its area
_EVEN = 2.5  # the widest margin of a hole, beside the narrowest: both are as broad as one stroke
_SHARP = 0.5  # of that contrast, within a few pixels of each side: where light falls off it is less
_ACROSS = 3  # pixels of the thumbnail on both sides of an edge
_SOLID, _MUCH = 0.6, 0.3  # of its box, and of what was taken for strokes, that is in a strip; of it, that is taken
_EDGE = 1.5  # pixels of the thumbnail: the sheet's blurred edge, a drawn frame around it


@dataclass(frozen=True)
class Sheet:
    """Where a sheet lies."""

    corners: NDArray[Any]  # float32 [4, 2]: x and y in pixels of the picture, clockwise from the upper left one
    contrast: float  # grey levels between it and its surround
    is_single: bool  # no other one beside it
    is_surrounded: bool  # none of its sides lies along the picture's border
    is_exact: bool  # its sides are as straight as drawn ones: not a blot's


def find_sheets(grey: NDArray[Any]) -> list[Sheet]:
    """Find the sheet that is surrounded by what is much darker or lighter: at most two candidates.

    Where the surround shows on one side only, sheet and surround may be taken for each other; a blank one is none.

    Args:
        grey: uint8 [h, w].
    """
    longest = max(grey.shape)
    if longest < _LEAST_PICTURE:
        return []
    scale = _THUMBNAIL / longest if longest < _SMALL else min(1.0, _THUMBNAIL / longest)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)  # a fifth of the time of INTER_AREA
    if min(small.shape) < _LEAST_SIDE:
        return []
    inner = _unlike_border(small)
    sheets = [_sheet_of(small, inner)]
    if _covers_side(inner) and (other := _sheet_of(small, 1 - inner)) and other.is_single:
        sheets.append(other)
    scales = np.array(grey.shape[::-1]) / size
    return [
        replace(sheet, corners=((_shrunk(sheet.corners) + 0.5) * scales - 0.5).astype(np.float32))
        for sheet in sheets
        if sheet
    ]


def _sheet_of(small: NDArray[Any], inner: NDArray[Any]) -> Sheet | None:
    """Find the one sheet among what has its class of grey levels; its corners in pixels of the thumbnail.

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


def _covers_side(mask: NDArray[Any]) -> bool:
    """Whether a mask of 0 and 1 covers one of the picture's sides from end to end, or nearly so."""
    return any(float(side.mean()) > _BARE for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def is_surround(grey: NDArray[Any], mask: NDArray[Any]) -> bool:
    """Whether what was taken for strokes is a solid strip all along one side of the picture: a desk, a shadow.

    Args:
        grey: uint8 [h, w].
        mask: uint8 [h, w], 1 on the strokes.
    """
    strip = _unlike_border(grey)
    if not _covers_side(strip):
        return False
    _, labels, stats, _ = cv2.connectedComponentsWithStats(strip, connectivity=4)
    largest = 1 + int(stats[1:, 4].argmax())
    width, height, area = stats[largest, 2:].tolist()
    part = (labels == largest).astype(np.uint8)
    is_solid = (
        _covers_side(part) and (width < grey.shape[1] or height < grey.shape[0]) and area > _SOLID * width * height
    )
    return bool(
        is_solid
        and cv2.countNonZero(cv2.bitwise_and(part, mask)) > _SOLID * cv2.countNonZero(mask)
        and cv2.countNonZero(mask) > _MUCH * area
    )


def _unlike_border(grey: NDArray[Any]) -> NDArray[Any]:
    """Mark the one of two classes of grey levels (Otsu 1979) that has less of the picture's border."""
    light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    return 1 - light if border.mean() > 0.5 else light


def straightened(grey: NDArray[Any], corners: NDArray[Any]) -> NDArray[Any]:
    """Cut a sheet out of a picture, seen from straight above, as large as it is there."""
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)  # upper, right, lower, left
    width, height = round(float(sides[::2].mean())), round(float(sides[1::2].mean()))
    goal = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    view = cv2.getPerspectiveTransform(corners, goal)
    return cv2.warpPerspective(grey, view, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def is_hollow(sheet: NDArray[Any]) -> bool:
    """Whether a sheet is the strokes of an angular 0 or 8, with nothing but bare holes in it.

    A bold 1 on a sheet looks like such a hole, but it is slimmer than the paper beside it is wide.

    Args:
        sheet: uint8 [h, w], cut out.
    """
    scale = min(1.0, _THUMBNAIL / max(sheet.shape))
    size = (max(1, round(sheet.shape[1] * scale)), max(1, round(sheet.shape[0] * scale)))
    holes = _unlike_border(cv2.resize(sheet, size, interpolation=cv2.INTER_AREA))
    outlines, _ = cv2.findContours(holes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = [outline for outline in outlines if cv2.contourArea(outline) > _HOLE * holes.size]
    if not outlines or not all(_is_bare_hole(outline, holes) for outline in outlines):
        return False
    left, top, width, height = cv2.boundingRect(np.concatenate(outlines))
    margins = np.array([left, top, size[0] - left - width, size[1] - top - height]) + _EDGE
    is_even = margins.max() <= _EVEN * margins.min()
    return len(outlines) > 1 or bool(is_even and margins.max() < min(width, height))


def _is_bare_hole(outline: NDArray[Any], holes: NDArray[Any]) -> bool:
    """Whether an outline is a rectangle's, straight or leaning, and there is nothing in it."""
    _, sides, _ = cv2.minAreaRect(outline)
    filled = cv2.drawContours(np.zeros_like(holes), [outline], -1, 1, cv2.FILLED)
    area = cv2.countNonZero(filled)
    bare = cv2.countNonZero(cv2.bitwise_and(filled, holes))
    return area > _RECTANGLE * (sides[0] + 1) * (sides[1] + 1) and bare > _EMPTY * area


def _corners(outline: NDArray[Any]) -> NDArray[Any] | None:
    """Give a quadrilateral's corners, float [4, 2], clockwise from the upper left one; None if it is none."""
    hull = cv2.convexHull(outline)
    corners = cv2.approxPolyDP(hull, _CORNERS * cv2.arcLength(hull, True), True)[:, 0].astype(np.float64)
    if len(corners) != 4:
        return None
    _, sides, _ = cv2.minAreaRect(hull)
    if min(sides) < max(_LEAST_SIDE, _SLIMMEST * max(sides)):
        return None
    return np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)


def _straightness(outline: NDArray[Any], corners: NDArray[Any], mask: NDArray[Any]) -> float:
    within = cv2.drawContours(np.zeros_like(mask), [outline], -1, 1, cv2.FILLED)
    between = cv2.fillConvexPoly(np.zeros_like(mask), np.rint(corners).astype(np.int32), 1)
    both, either = cv2.bitwise_and(within, between), cv2.bitwise_or(within, between)
    return cv2.countNonZero(both) / max(cv2.countNonZero(either), 1)


def _has_bare_rim(corners: NDArray[Any], mask: NDArray[Any]) -> bool:
    """Whether a sheet's edges are bare all around; those of a digit as broad as a sheet are not."""
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    width = max(2, round(_RIM * float(sides.min())))
    filled: NDArray[Any] = cv2.fillConvexPoly(np.zeros_like(mask), np.rint(corners).astype(np.int32), 1)
    filled = cv2.erode(filled, np.ones((3, 3), np.uint8), borderValue=0)
    rim = filled - cv2.erode(filled, np.ones((2 * width + 1,) * 2, np.uint8), borderValue=0)
    return cv2.mean(mask, rim)[0] > _BARE


def _has_sharp_edges(grey: NDArray[Any], corners: NDArray[Any], contrast: float) -> bool:
    """Whether grey levels leap at each side, as they do not where a shadow begins or light falls off.

    A side along the picture's border has nothing beside it, and passes.
    """
    last = np.array(grey.shape[::-1]) - 1
    onward = np.roll(corners, -1, axis=0) - corners
    outward = np.stack([onward[:, 1], -onward[:, 0]], axis=1) / np.hypot(*onward.T)[:, None]
    along, across = np.arange(0.1, 0.95, 0.05), np.arange(-_ACROSS, _ACROSS + 2)  # its last pixels are within
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


def _shrunk(corners: NDArray[Any]) -> NDArray[Any]:
    """Move corners inward, by the width of the edge along both sides."""
    onward = np.roll(corners, -1, axis=0) - corners
    onward /= np.hypot(*onward.T)[:, None]
    inner: NDArray[Any] = corners + _EDGE * (onward - np.roll(onward, 1, axis=0))
    return inner
