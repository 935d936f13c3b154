"""Outliers: pictures that are not digits, drawn for training.

A network that has only seen digits finds one in everything. If it is also shown images that belong to no class, it
learns to be uncertain about what it does not know (outlier exposure: Hendrycks, Mazeika & Dietterich 2019).
All outliers are drawn here, from digits or from nothing, so no other data are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.reading.conventions import IMAGE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]  # [28, 28], background 0

_HALF = IMAGE_SIZE // 2
_WHITE = 255
_SUBPIXEL_BITS = 4  # fractional bits of OpenCV's coordinates
# Letters and signs that cannot be mistaken for a digit: without O, D, I, l, S, s, Z, z, B, b, q, g, y, T, …
_SIGNS = "AEHKMNRVWXacefkmnrtvwx#@&%?+=*"
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


def draw_outliers(count: int, digits: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw pictures that are not digits, each kind equally often.

    Args:
        count: How many.
        digits: uint8 [m, 28, 28], m ≥ 1, background 0; some outliers are made from them.
        random: Source of the draws.

    Returns:
        uint8 [count, 28, 28], background 0.
    """
    kinds = random.integers(len(_KINDS), size=count)
    drawn = [_KINDS[kind](digits, random) for kind in kinds]
    return np.stack(drawn) if drawn else np.empty((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8)


def noise(digits: Image, random: np.random.Generator) -> Image:
    """Specks of random density and strength; the picture may be empty."""
    strength = random.uniform(0, _WHITE)
    specks = random.random((IMAGE_SIZE, IMAGE_SIZE)) < random.uniform(0, 0.8)
    return np.asarray(specks * random.uniform(0, strength, specks.shape), np.uint8)


def blob(digits: Image, random: np.random.Generator) -> Image:
    """A filled shape with soft shades, often symmetric: like clouds or clothes."""
    grain = int(random.integers(3, 8))
    shape = cv2.resize(random.random((grain, grain)), (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_CUBIC)
    if random.random() < 0.5:
        shape = (shape + shape[:, ::-1]) / 2
    shades = cv2.resize(random.uniform(0.4, 1, (grain, grain)), (IMAGE_SIZE, IMAGE_SIZE))
    filled = (shape > np.quantile(shape, random.uniform(0.2, 0.7))) * shades * _WHITE
    margin = int(random.integers(0, 5))
    inner = (IMAGE_SIZE - 2 * margin,) * 2
    return np.pad(cv2.resize(np.asarray(filled, np.uint8), inner, interpolation=cv2.INTER_AREA), margin)


def polygon(digits: Image, random: np.random.Generator) -> Image:
    """A filled polygon with straight sides, symmetric or not."""
    corners = int(random.integers(3, 9))
    # Spread all around, because a thin sliver would be a 1.
    angles = (np.arange(corners) + random.uniform(0, 0.8, corners)) * 2 * np.pi / corners
    radii = random.uniform(6, 14, corners)
    points = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)
    picture = _canvas()
    cv2.fillPoly(picture, [_fixed_point(points + _HALF)], int(random.integers(90, 256)), cv2.LINE_AA, _SUBPIXEL_BITS)
    return np.maximum(picture, picture[:, ::-1]) if random.random() < 0.5 else picture


def scribble(digits: Image, random: np.random.Generator) -> Image:
    """A pen line with many turns."""
    points = random.uniform(4, IMAGE_SIZE - 5, (int(random.integers(6, 12)), 2))
    return _pen_lines([points], random)


def strokes(digits: Image, random: np.random.Generator) -> Image:
    """Several straight strokes that cross: hatching, stars, grids."""
    ends = random.uniform(3, IMAGE_SIZE - 4, (int(random.integers(4, 8)), 2, 2))
    return _pen_lines(list(ends), random)


def sign(digits: Image, random: np.random.Generator) -> Image:
    """A printed letter or sign."""
    text = _SIGNS[random.integers(len(_SIGNS))]
    font, thickness = _FONTS[random.integers(len(_FONTS))], int(random.integers(4, 10))
    picture = np.zeros((160, 160), np.uint8)
    cv2.putText(picture, text, (40, 110), font, 3.0, _WHITE, thickness, cv2.LINE_AA)
    return _fitted(picture, int(random.integers(16, 25)))


def shuffled(digits: Image, random: np.random.Generator) -> Image:
    """A digit with its four quarters rearranged."""
    digit = digits[random.integers(len(digits))]
    quarters = digit.reshape(2, _HALF, 2, _HALF).swapaxes(1, 2).reshape(4, _HALF, _HALF)
    order = random.permutation(4)
    while (order == np.arange(4)).any():  # every quarter moves
        order = random.permutation(4)
    moved = quarters[order].reshape(2, 2, _HALF, _HALF).swapaxes(1, 2)
    return np.ascontiguousarray(moved.reshape(IMAGE_SIZE, IMAGE_SIZE))


def pair(digits: Image, random: np.random.Generator) -> Image:
    """Two digits side by side or one above the other, scaled to fit."""
    first, second = (digits[index][:, 4:24] for index in random.integers(len(digits), size=2))
    together = np.concatenate([first, second], axis=int(random.random() < 0.8))
    return _fitted(np.ascontiguousarray(together), int(random.integers(18, 23)))


_KINDS: tuple[Callable[[Image, np.random.Generator], Image], ...] = (
    noise,
    blob,
    polygon,
    scribble,
    strokes,
    sign,
    shuffled,
    pair,
)


def _canvas() -> Image:
    return np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)


def _fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray(np.rint(points * 2**_SUBPIXEL_BITS), np.int32)


def _pen_lines(lines: list[NDArray[np.float64]], random: np.random.Generator) -> Image:
    picture = _canvas()
    width = int(random.integers(1, 4))
    points = [_fixed_point(line) for line in lines]
    cv2.polylines(picture, points, False, _WHITE, width, cv2.LINE_AA, _SUBPIXEL_BITS)
    return picture


def _fitted(picture: NDArray[np.uint8], size: int) -> Image:
    """Scale the ink of a larger picture to `size` pixels and centre it."""
    left, top, width, height = cv2.boundingRect(picture)
    if not width:
        return _canvas()
    scale = size / max(width, height)
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    ink = cv2.resize(picture[top : top + height, left : left + width], (wide, high), interpolation=cv2.INTER_AREA)
    canvas = _canvas()
    x, y = (IMAGE_SIZE - wide) // 2, (IMAGE_SIZE - high) // 2
    canvas[y : y + high, x : x + wide] = ink
    return canvas
