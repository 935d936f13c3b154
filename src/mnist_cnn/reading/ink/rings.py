"""A ring around a digit: circle, ellipse or box, hand-drawn or printed, perhaps open or touched by the digit.

The ink is examined along rays from its centre. A ring is the outermost ink on nearly all of them, its radius changes
smoothly from ray to ray, and there is bare paper inside it. A 0 is a ring too; its contents distinguish them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from mnist_cnn.reading.ink.pixels import Pixels, largest_part

_SIDE = 64  # pixels of the square into which the ink is scaled, so that an ellipse becomes a circle
_RAYS, _REACH = 96, 46  # rays from the square's centre, and pixels along each, as far as the corners
_CENTRE = (_SIDE - 1) / 2
_INKED = 40  # grey level of ink in the square: thin rings fade as they shrink
_WINDOW = 23  # rays over which the outline is smoothed; a gap, or a stroke across the ring, is narrower
_WAVER = 3  # pixels by which a ring may deviate from the smooth outline
_COVERED = 0.88  # of the rays
_ROUND = 0.8, 1.3  # smallest and largest radius relative to the mean; a square has 0.9 and 1.25, an 8 has a waist
_THICKEST = 10  # pixels
_FREE = 0.6  # of the rays, on which there is paper inside the ring
_SPECK = 0.07  # of the ring's inner height: smaller shapes are dirt
_DOT, _LOW = 0.42, 0.24  # of it: the highest dot of a 0, and the highest oblong dot
_CONVEX = 0.88  # of its convex hull's area that a dot covers at least
_ROUNDISH, _OBLONG = 1.9, 3.3  # ratio of length to width of any dot, and of a low one; a 1 is longer
_ATTACHED_HEIGHT, _ATTACHED_AREA = 0.6, 0.15  # of the ring's inside; the tail of a 0 that curls inward has less
_CENTRAL = 0.55  # of the inner radius; a swelling of the ring itself stays farther from the centre
_THROUGH = 0.85  # of its height: a longer shape is not a tail
_SLIM = 0.3  # ratio of width to length of a bar
_LEANING, _SLASH = 0.5, 0.7  # radians from upright, once an ellipse is a circle: a possible, a certain slash of a 0
_LEVEL = 1.3  # radians; a bar that leans this far is a dash
_ACROSS = 0.7  # of the ring's inner height: a slash from side to side


@dataclass(frozen=True)
class Ring:
    """A ring with something in it."""

    inside: Pixels  # float32 [n, 2]: x and y of a polygon just inside it, in pixels of the mask
    is_clear: bool  # False: it may be a 0, or the digit is cut where it touches the ring


@dataclass(frozen=True)
class _Outline:
    """The outermost ink along each ray, in pixels of the square."""

    radius: Pixels  # [rays], smoothed
    thickness: float

    @property
    def inner(self) -> Pixels:
        """Radius within which nothing belongs to the ring."""
        return self.radius - 1.4 * self.thickness - 1


def ring_around(mask: Pixels) -> Ring | None:
    """Find the ring around a digit.

    Args:
        mask: uint8 [h, w], 1 on the strokes that were found, including the ring.

    Returns:
        The ring. None if there is none, or if its contents make it a 0: nothing, a dot or a slash.
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


def _in_square(ink: Pixels) -> Pixels:
    """Scale a mask of 0 and 255 into the square, as 0 and 1."""
    square = cv2.resize(ink, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return (square > _INKED).astype(np.uint8)


def _may_be_ring(box: Pixels) -> bool:
    """Return whether there is ink in the middle of each side, and inside: a quick test that most digits fail."""
    height, width = box.shape
    rows, columns = slice(3 * height // 8, 5 * height // 8 + 1), slice(3 * width // 8, 5 * width // 8 + 1)
    down, across = height // 8 + 1, width // 8 + 1
    within = box[3 * height // 10 : 7 * height // 10 + 1, 3 * width // 10 : 7 * width // 10 + 1]
    parts = box[rows, :across], box[rows, -across:], box[:down, columns], box[-down:, columns], within
    return all(cv2.countNonZero(part) > 0 for part in parts)


def _outline(square: Pixels) -> _Outline | None:
    """Follow the outermost ink from ray to ray; None if it is not a ring."""
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


def _smooth(radius: Pixels) -> Pixels:
    """Return the median over neighbouring rays."""
    half = _WINDOW // 2
    around = np.concatenate([radius[-half:], radius, radius[:half]])
    windows = np.lib.stride_tricks.sliding_window_view(around, _WINDOW)
    return np.partition(windows, half, axis=1)[:, half]


def _holds_digit(square: Pixels, box: Pixels, outline: _Outline) -> bool | None:
    """Return whether there is certainly a digit inside; None if the contents make it a 0."""
    distance, ray = _polar()
    inside = (distance < outline.inner[ray]).astype(np.uint8)
    height = 2 * float(np.median(outline.inner)) * box.shape[0] / _SIDE  # of the inside, in pixels of the mask
    free = _free_parts(box, inside, _SPECK * height)
    if free is None:
        return _is_attached_digit(square & inside, distance, outline)
    return _is_free_digit(free, cv2.boundingRect(free)[3] / height)


def _free_parts(box: Pixels, inside: Pixels, least: float) -> Pixels | None:
    """Mark all shapes inside the ring that do not touch it, in the mask's own pixels; None if they are dirt.

    Args:
        box: uint8 [h, w], not 0 on the ink.
        inside: uint8 [side, side], 1 inside the ring.
        least: Pixels, longer side of the smallest shape that is not dirt.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(box, connectivity=8)
    within = cv2.resize(inside, box.shape[::-1], interpolation=cv2.INTER_NEAREST)
    count_within = np.bincount(labels[within > 0], minlength=len(stats))
    ring = 1 + int((stats[1:, 4] - count_within[1:]).argmax())
    is_free = (2 * count_within > stats[:, 4]) & (stats[:, 2:4].max(axis=1) >= least)
    is_free[[0, ring]] = False
    return is_free[labels].astype(np.uint8) if is_free.any() else None


def _is_free_digit(part: Pixels, tall: float) -> bool | None:
    """Return whether the contents, which do not touch the ring, are a digit; None for the dot and the slash of a 0."""
    lean, length = _lean(_in_square(part * np.uint8(255))), _length(part)
    if lean > _SLASH or (tall < _DOT and length < _ROUNDISH) or (tall < _LOW and length < _OBLONG):
        return None
    return lean < _LEANING and length > _OBLONG


def _length(part: Pixels) -> float:
    """Return a compact shape's ratio of length to width; infinite if it has a hole or a bay, as most digits have."""
    points = cv2.findNonZero(part)
    hull = cv2.convexHull(points)
    area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1  # its corners are the centres of pixels
    _, sides, _ = cv2.minAreaRect(hull)
    return (max(sides) + 1) / (min(sides) + 1) if len(points) > _CONVEX * area else np.inf


def _is_attached_digit(contents: Pixels, distance: Pixels, outline: _Outline) -> bool | None:
    """Return whether the largest shape inside, which touches the ring, may be a digit; None for a tail or a slash."""
    found = largest_part(contents, connectivity=8)
    if found is None:
        return None
    part, (_, _, _, height, area) = found
    radius = float(np.median(outline.inner))
    tall = height / (2 * radius)
    is_central = float(distance[part > 0].min()) < _CENTRAL * radius
    is_broad = tall > _ATTACHED_HEIGHT and area > _ATTACHED_AREA * np.pi * radius**2
    is_slash = _lean(part) > _SLASH and tall > _ACROSS
    return False if is_central and not is_slash and (is_broad or tall > _THROUGH) else None


def _lean(part: Pixels) -> float:
    """Return a straight bar's angle from upright, in radians; 0 if the shape is not a bar, or is horizontal."""
    moments = cv2.moments(part, binaryImage=True)
    spread = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]])
    variances, axes = np.linalg.eigh(spread)
    x, y = np.abs(axes[:, 1])
    angle = float(np.arctan2(x, y))
    return angle if variances[0] < _SLIM**2 * variances[1] and angle < _LEVEL else 0.0


@cache
def _directions() -> Pixels:
    """Return the unit vector of each ray, [rays, 2]."""
    angle = np.arange(_RAYS) * (2 * np.pi / _RAYS)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@cache
def _polar() -> tuple[Pixels, Pixels]:
    """Return the distance to the centre and the nearest ray of each pixel of the square, [side, side] each."""
    y, x = np.mgrid[:_SIDE, :_SIDE] - _CENTRE
    ray = np.rint(np.arctan2(y, x) * (_RAYS / (2 * np.pi))).astype(int) % _RAYS
    return np.hypot(x, y), ray


def only_inside(grey: Pixels, inside: Pixels, ink: Pixels) -> Pixels:
    """Replace everything outside a ring by paper, extrapolated from the paper inside.

    Args:
        grey: uint8 [h, w].
        inside: uint8 [h, w], 1 inside the ring.
        ink: uint8 [h, w], 1 on ink.
    """
    height, width = grey.shape
    size = (min(width, _SIDE), min(height, _SIDE))
    unknown = cv2.resize(((inside == 0) | (ink > 0)).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    wide = cv2.dilate(unknown, np.ones((3, 3), np.uint8))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    paper = cv2.resize(cv2.inpaint(small, wide, 3, cv2.INPAINT_TELEA), (width, height))
    return np.where(inside > 0, grey, paper)
