"""Pen strokes from small pictures of digits: MNIST's 28×28 pixels become lines that any pen can draw again.

The ink is thinned to lines one pixel wide (Zhang & Suen 1984), which are followed from end to end and smoothed.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.hands import Stroke

_ZOOM = 3  # pictures are enlarged before thinning, so that a line has a middle
_INK = 110  # grey level, after enlarging, of the edge of a stroke
_SPUR = 4  # enlarged pixels; shorter side branches come from the thinning and not from a pen
_STRIDE = 3  # smoothed points per point that is kept; a digit is some 60 enlarged pixels high
_SMOOTHING = np.array([1, 2, 3, 2, 1], np.float32) / 9  # along a line; removes the steps between pixels
_NEIGHBOURS = ((0, -1), (1, 0), (0, 1), (-1, 0), (1, -1), (1, 1), (-1, 1), (-1, -1))  # (x, y), straight ones first


def trace(picture: NDArray[np.uint8]) -> list[Stroke]:
    """Follow the ink of one digit.

    Args:
        picture: uint8 [h, w], ink light on 0.

    Returns:
        Strokes, 1 high without the width of the pen, unless they are much wider than high; none if there is no ink.
    """
    fine = cv2.resize(picture, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_CUBIC)
    lines = follow(thin((fine > _INK).astype(np.uint8)))
    lines = [thinned(smooth(line)) for line in lines]
    if not lines:
        return []
    points = np.concatenate(lines)
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    scale = max(float(span.max()), 1.0)
    height = max(float(span[1]), scale / 3)
    return [((line - low) / height).astype(np.float32) for line in lines]


def thin(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Thin ink to lines one pixel wide (Zhang & Suen 1984).

    Args:
        mask: uint8 [h, w], 1 where there is ink.
    """
    image = np.pad(mask, 1)
    while True:
        removed = 0
        for first in (True, False):
            inked = np.flatnonzero(image)
            redundant = inked[_is_redundant(image, inked, first)]
            image.ravel()[redundant] = 0
            removed += len(redundant)
        if not removed:
            return image[1:-1, 1:-1]


def _is_redundant(image: NDArray[np.uint8], inked: NDArray[np.intp], first: bool) -> NDArray[np.bool_]:
    width = image.shape[1]
    around = (-width, 1 - width, 1, 1 + width, width, width - 1, -1, -1 - width)  # clockwise from the north
    p = image.ravel()[inked[None] + np.array(around)[:, None]]  # (8, n)
    count = p.sum(axis=0)
    rises = ((p == 0) & (np.roll(p, -1, axis=0) == 1)).sum(axis=0)
    north, east, south, west = p[0], p[2], p[4], p[6]
    open_side = (north & east & south, east & south & west) if first else (north & east & west, north & south & west)
    keep_out = (open_side[0] == 0) & (open_side[1] == 0)
    redundant: NDArray[np.bool_] = (count >= 2) & (count <= 6) & (rises == 1) & keep_out
    return redundant


def follow(lines: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Follow thin lines from their ends and junctions.

    Args:
        lines: uint8 [h, w], 1 on lines one pixel wide.

    Returns:
        Paths float32 [n, 2], n ≥ 2, of (x, y) in pixels.
    """
    y, x = np.nonzero(lines)
    left = set(zip(x.tolist(), y.tolist(), strict=True))
    degree = {place: len(_beside(place, left)) for place in left}
    paths = []
    while left:
        start = min(left, key=lambda place: (degree[place] != 1, place[1], place[0]))
        path = _walk(start, left)
        paths.append(_joined(path, degree, lines))
    return [np.array(path, np.float32) for path in paths if len(path) > _SPUR or len(paths) == 1]


def _walk(start: tuple[int, int], left: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Go on, as straight as possible, until no unvisited pixel is beside; remove what was visited."""
    path, direction = [start], (0, 0)
    left.discard(start)
    while beside := _beside(path[-1], left):
        x, y = path[-1]
        best = max(beside, key=lambda place: (place[0] - x) * direction[0] + (place[1] - y) * direction[1])
        path.append(best)
        left.discard(best)
        back = path[max(0, len(path) - 6)]
        direction = (best[0] - back[0], best[1] - back[1])
    return path


def _beside(place: tuple[int, int], among: Container[tuple[int, int]]) -> list[tuple[int, int]]:
    return [near for dx, dy in _NEIGHBOURS if (near := (place[0] + dx, place[1] + dy)) in among]


def _joined(
    path: list[tuple[int, int]], degree: dict[tuple[int, int], int], lines: NDArray[np.uint8]
) -> list[tuple[int, int]]:
    """Lengthen a path by one pixel at each end, onto the line that it branches off or its own beginning."""
    inside = set(path)
    for end in (0, -1):
        others = [near for near in _beside(path[end], degree.keys()) if near not in inside or near in path[4:-4]]
        if others and len(path) > _SPUR:
            path = [others[0], *path] if end == 0 else [*path, others[0]]
    if len(path) > 3 * _SPUR and path[0] in _beside(path[-1], set(path[:3])):
        path = [*path, path[0]]
    return path if len(path) > 1 else [path[0], path[0]]


def thinned(line: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep every third point, and both ends: as smooth to the eye, and drawn three times as fast."""
    kept = np.arange(0, len(line) - 1, _STRIDE)
    return line[[*kept, len(line) - 1]]


def smooth(path: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove the steps between pixels; the ends stay."""
    margin = len(_SMOOTHING) // 2
    if len(path) <= 2 * margin:
        return path
    padded = np.concatenate([2 * path[0] - path[margin:0:-1], path, 2 * path[-1] - path[-2 : -margin - 2 : -1]])
    return np.stack([np.convolve(padded[:, axis], _SMOOTHING, "valid") for axis in (0, 1)], axis=1).astype(np.float32)
