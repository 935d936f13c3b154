"""A ring drawn around a digit: circle, ellipse or box, by hand or not, perhaps left open or touched by the digit.

The ink is looked at along rays from its middle. A ring is the outermost ink on nearly all of them, changes smoothly
from ray to ray, and has bare paper within. A 0 is a ring too; what is inside tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 64  # pixels of the square into which the ink is brought, so that an ellipse becomes a circle
_RAYS, _REACH = 96, 46  # from the square's middle, and pixels along each, as far as the corners
_CENTRE = (_SIDE - 1) / 2
_INKED = 40  # grey level of the square's ink: thin rings fade as they shrink
_WINDOW = 23  # rays over which the outline is smoothed: a gap, or a stroke across the ring, is narrower
_WAVER = 3  # pixels by which a ring may leave the smooth outline
_COVERED = 0.88  # of the rays
_ROUND = 0.8, 1.3  # least and greatest radius, of their mean; a square has 0.9 and 1.25, an 8 has a waist
_THICKEST = 10  # pixels
_FREE = 0.6  # of the rays, on which there is paper behind the ring
_SPECK = 0.07  # of the ring's inner height: what is smaller is dirt
_DOT, _LOW = 0.42, 0.24  # of it: the highest dot of a 0, and the highest that is oblong
_CONVEX = 0.88  # of its convex hull's area, what a dot covers at least
_ROUNDISH, _OBLONG = 1.9, 3.3  # the length of a dot, of its breadth: of any, and of a low one; a 1 is longer
_ATTACHED_HEIGHT, _ATTACHED_AREA = 0.6, 0.15  # of the ring's inside; the tail of a 0 that curls inward has less
_CENTRAL = 0.55  # of the inside's radius: a swelling of the ring itself keeps farther from the middle
_THROUGH = 0.85  # of its height: what reaches as far is no tail
_SLIM = 0.3  # breadth of a bar, of its length
_LEANING, _SLASH = 0.5, 0.7  # radians from upright, once an ellipse is a circle: perhaps, and surely, the slash of a 0
_LEVEL = 1.3  # radians; what leans as far is a dash
_ACROSS = 0.7  # of the ring's inner height: a slash from side to side


@dataclass(frozen=True)
class Ring:
    """A ring with something in it."""

    inside: NDArray[Any]  # float32 [n, 2]: x and y of a polygon just within, in pixels of the mask
    is_clear: bool  # False: a 0 may be meant, or the digit is cut where it touches the ring


@dataclass(frozen=True)
class _Outline:
    """The outermost ink along each ray, in pixels of the square."""

    radius: NDArray[Any]  # [rays], smoothed
    thickness: float

    @property
    def inner(self) -> NDArray[Any]:
        """Radius within which nothing belongs to the ring."""
        return self.radius - 1.4 * self.thickness - 1


def ring_around(mask: NDArray[Any]) -> Ring | None:
    """Find the ring around a digit.

    Args:
        mask: uint8 [h, w], 1 on the strokes that were found, the ring among them.

    Returns:
        The ring; None where there is none, and where what it holds makes it a 0: nothing, a dot or a slash.
    """
    left, top, width, height = cv2.boundingRect(mask)
    box = mask[top : top + height, left : left + width]
    if not _may_be_ring(box):
        return None
    box = box * np.uint8(255)
    square = _in_square(box)
    outline = _outline(square)
    if outline is None:
        return None
    is_clear = _holds_digit(square, box, outline)
    if is_clear is None:
        return None
    corners = _CENTRE + outline.inner[:, None] * _directions()  # [rays, 2]
    scale = np.array([width, height]) / _SIDE
    return Ring(((corners + 0.5) * scale + [left, top]).astype(np.float32), is_clear)


def _in_square(ink: NDArray[Any]) -> NDArray[Any]:
    """Bring a mask, 0 and 255, into the square, as 0 and 1."""
    square = cv2.resize(ink, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return (square > _INKED).astype(np.uint8)


def _may_be_ring(box: NDArray[Any]) -> bool:
    """Whether there is ink in the middle of each side, and within: a quick look, which most digits fail."""
    height, width = box.shape
    rows, columns = slice(3 * height // 8, 5 * height // 8 + 1), slice(3 * width // 8, 5 * width // 8 + 1)
    down, across = height // 8 + 1, width // 8 + 1
    within = box[3 * height // 10 : 7 * height // 10 + 1, 3 * width // 10 : 7 * width // 10 + 1]
    parts = box[rows, :across], box[rows, -across:], box[:down, columns], box[-down:, columns], within
    return all(cv2.countNonZero(part) > 0 for part in parts)


def _outline(square: NDArray[Any]) -> _Outline | None:
    """Follow the outermost ink from ray to ray; None where it is no ring."""
    rays = cv2.warpPolar(square, (_REACH, _RAYS), (_CENTRE, _CENTRE), _REACH, cv2.WARP_FILL_OUTLIERS)  # [rays, reach]
    steps = np.arange(1, _REACH + 1, dtype=np.float32)
    last = (rays * steps).max(axis=1)
    radius = _smooth(last)
    least, greatest = radius.min() / max(radius.mean(), 1), radius.max() / max(radius.mean(), 1)
    near = np.abs(last - radius) <= _WAVER
    if not (_ROUND[0] <= least and greatest <= _ROUND[1] and near.mean() >= _COVERED):
        return None
    depth = last[:, None] - steps  # [rays, reach]
    bare = np.where((rays == 0) & (depth > 0), depth, _REACH).min(axis=1)
    thickness = float(np.median(bare[near]))
    if thickness > _THICKEST or (bare <= 1.6 * thickness + 2).mean() < _FREE:
        return None
    return _Outline(radius, thickness)


def _smooth(radius: NDArray[Any]) -> NDArray[Any]:
    """Give the median over neighbouring rays."""
    half = _WINDOW // 2
    around = np.concatenate([radius[-half:], radius, radius[:half]])
    windows = np.lib.stride_tricks.sliding_window_view(around, _WINDOW)
    smooth: NDArray[Any] = np.partition(windows, half, axis=1)[:, half]
    return smooth


def _holds_digit(square: NDArray[Any], box: NDArray[Any], outline: _Outline) -> bool | None:
    """Whether there is clearly a digit inside; None where what is there makes it a 0."""
    distance, ray = _polar()
    inside = (distance < outline.inner[ray]).astype(np.uint8)
    height = 2 * float(np.median(outline.inner)) * box.shape[0] / _SIDE  # of the inside, in pixels of the mask
    free = _free_parts(box, inside, _SPECK * height)
    if free is None:
        return _is_attached_digit(square & inside, distance, outline)
    return _is_free_digit(free, cv2.boundingRect(free)[3] / height)


def _free_parts(box: NDArray[Any], inside: NDArray[Any], least: float) -> NDArray[Any] | None:
    """Mask all that lies within the ring and does not touch it, in the mask's own pixels; None where it is dirt.

    Args:
        box: uint8 [h, w], not 0 on the ink.
        inside: uint8 [side, side], 1 inside the ring.
        least: Pixels, the longer side of the smallest part that is not dirt.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(box, connectivity=8)
    within = cv2.resize(inside, box.shape[::-1], interpolation=cv2.INTER_NEAREST)
    count_within = np.bincount(labels[within > 0], minlength=len(stats))
    ring = 1 + int((stats[1:, 4] - count_within[1:]).argmax())
    is_free = (2 * count_within > stats[:, 4]) & (stats[:, 2:4].max(axis=1) >= least)
    is_free[[0, ring]] = False
    return is_free[labels].astype(np.uint8) if is_free.any() else None


def _is_free_digit(part: NDArray[Any], tall: float) -> bool | None:
    """Whether what does not touch the ring is a digit; None for the dot and the slash of a 0."""
    lean, length = _lean(_in_square(part * np.uint8(255))), _length(part)
    if lean > _SLASH or (tall < _DOT and length < _ROUNDISH) or (tall < _LOW and length < _OBLONG):
        return None
    return lean < _LEANING and length > _OBLONG


def _length(part: NDArray[Any]) -> float:
    """Give a compact shape's length, of its breadth; infinite where it has a hole or a bay, as most digits have."""
    points = cv2.findNonZero(part)
    hull = cv2.convexHull(points)
    area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1  # its corners are the middles of pixels
    _, sides, _ = cv2.minAreaRect(hull)
    return (max(sides) + 1) / (min(sides) + 1) if len(points) > _CONVEX * area else np.inf


def _is_attached_digit(contents: NDArray[Any], distance: NDArray[Any], outline: _Outline) -> bool | None:
    """Whether the largest part inside, which goes on into the ring, may be a digit; None for a tail and a slash."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(contents, connectivity=8)
    if len(stats) < 2:
        return None
    largest = 1 + int(stats[1:, 4].argmax())
    part = (labels == largest).astype(np.uint8)
    radius = float(np.median(outline.inner))
    tall = stats[largest, 3] / (2 * radius)
    is_central = float(distance[part > 0].min()) < _CENTRAL * radius
    is_broad = tall > _ATTACHED_HEIGHT and stats[largest, 4] > _ATTACHED_AREA * np.pi * radius**2
    is_slash = _lean(part) > _SLASH and tall > _ACROSS
    return False if is_central and not is_slash and (is_broad or tall > _THROUGH) else None


def _lean(part: NDArray[Any]) -> float:
    """Give a straight bar's angle from upright, in radians; 0 where a shape is none, and where it is level."""
    moments = cv2.moments(part, binaryImage=True)
    spread = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]])
    variances, axes = np.linalg.eigh(spread)
    x, y = np.abs(axes[:, 1])
    angle = float(np.arctan2(x, y))
    return angle if variances[0] < _SLIM**2 * variances[1] and angle < _LEVEL else 0.0


@cache
def _directions() -> NDArray[Any]:
    """Give the unit vector of each ray, [rays, 2]."""
    angle = np.arange(_RAYS) * (2 * np.pi / _RAYS)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@cache
def _polar() -> tuple[NDArray[Any], NDArray[Any]]:
    """Give the distance to the middle and the nearest ray of each pixel of the square, [side, side] each."""
    y, x = np.mgrid[:_SIDE, :_SIDE] - _CENTRE
    ray = np.rint(np.arctan2(y, x) * (_RAYS / (2 * np.pi))).astype(int) % _RAYS
    return np.hypot(x, y), ray


def only_inside(grey: NDArray[Any], inside: NDArray[Any], ink: NDArray[Any]) -> NDArray[Any]:
    """Lay paper over everything that is not inside a ring, as light as the paper inside, from where it goes on.

    Args:
        grey: uint8 [h, w].
        inside: uint8 [h, w], 1 inside the ring.
        ink: uint8 [h, w], 1 where there is ink.
    """
    height, width = grey.shape
    size = (min(width, _SIDE), min(height, _SIDE))
    unknown = cv2.resize(((inside == 0) | (ink > 0)).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    wide = cv2.dilate(unknown, np.ones((3, 3), np.uint8))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    paper = cv2.resize(cv2.inpaint(small, wide, 3, cv2.INPAINT_TELEA), (width, height))
    return np.where(inside > 0, grey, paper)
