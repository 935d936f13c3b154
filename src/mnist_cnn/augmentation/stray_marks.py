"""Stray marks on images of digits: lines across, gaps in the ink and blots, as on forms and old paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.reading.conventions import IMAGE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]  # [28, 28], background 0
    Levels = NDArray[np.float32]  # [28, 28], 0 to 1

_FINER = 4  # marks are drawn this many times as large, and reduced, so that their edges are soft
_MOST_LINES = 2
_MOST_POINTS, _FEW_POINTS = 8, 3  # of a line from side to side, and of one whose points are in any order
_ACROSS, _UPRIGHT = 0.75, 0.3  # shares of lines from side to side, and of these from top to bottom
_HIGHEST_TURN = 8  # pixels between the lowest and the highest turn of a line from side to side
_THINNEST, _THICKEST = 0.7, 2.2  # widths of lines, pixels
_MOST_BLOTS = 8
_SMALLEST, _LARGEST = 0.6, 2.5  # radii of blots, pixels


def add_stray_marks(images: NDArray[np.uint8], share: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Add marks to some images, each kind equally often.

    Args:
        images: uint8 [n, 28, 28], background 0.
        share: Share of the images to mark, 0 to 1.
        random: Source of the draws.

    Returns:
        uint8 [n, 28, 28], a copy.
    """
    marked = images.copy()
    for index in np.flatnonzero(random.random(len(images)) < share):
        marked[index] = _KINDS[random.integers(len(_KINDS))](images[index], random)
    return marked


def line(image: Image, random: np.random.Generator) -> Image:
    """Draw one or two thin lines of ink, straight or with turns."""
    ink = _lines(random) * np.float32(random.uniform(100, 255))
    return np.maximum(image, ink.astype(np.uint8))


def gap(image: Image, random: np.random.Generator) -> Image:
    """Take away the ink along one or two thin lines."""
    return (image * (1 - _lines(random))).astype(np.uint8)


def blots(image: Image, random: np.random.Generator) -> Image:
    """Cover a few spots with one grey level."""
    canvas = _canvas()
    for _ in range(random.integers(1, _MOST_BLOTS + 1)):
        centre = random.uniform(0, IMAGE_SIZE, 2) * _FINER
        axes = random.uniform(_SMALLEST, _LARGEST, 2) * _FINER
        box = (tuple(centre.tolist()), tuple((2 * axes).tolist()), float(random.uniform(0, 180)))
        cv2.ellipse(canvas, box, (255,), cv2.FILLED)
    covered = _reduced(canvas)
    return np.asarray(image * (1 - covered) + covered * np.float32(random.uniform(0, 255)), np.uint8)


_KINDS: tuple[Callable[[Image, np.random.Generator], Image], ...] = (line, gap, blots)


def _lines(random: np.random.Generator) -> Levels:
    """Draw one or two lines through random points: many from side to side, or few in any order."""
    canvas = _canvas()
    for _ in range(random.integers(1, _MOST_LINES + 1)):
        points = random.uniform(0, IMAGE_SIZE, (random.integers(2, _MOST_POINTS + 1), 2))
        if random.random() < _ACROSS:
            height = random.uniform(0, _HIGHEST_TURN)
            points[:, 0].sort()
            ends = random.uniform(0, IMAGE_SIZE, 2)
            turns = random.uniform(-height, height, len(points)) / 2
            points[:, 1] = np.interp(points[:, 0], (0, IMAGE_SIZE), ends) + turns
            if random.random() < _UPRIGHT:
                points = points[:, ::-1]
        else:
            points = points[:_FEW_POINTS]
        thickness = max(1, round(random.uniform(_THINNEST, _THICKEST) * _FINER))
        cv2.polylines(canvas, [np.rint(points * _FINER).astype(np.int32)], False, (255,), thickness)
    return _reduced(canvas)


def _canvas() -> NDArray[np.uint8]:
    return np.zeros((IMAGE_SIZE * _FINER, IMAGE_SIZE * _FINER), np.uint8)


def _reduced(canvas: NDArray[np.uint8]) -> Levels:
    reduced = cv2.resize(canvas, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced / np.float32(255), np.float32)
