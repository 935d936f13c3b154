"""Printed security patterns: a bank of large tiles, each built at its first use.

Every pattern is a set of lines of equal phase. A phase is a linear function of the place, or a distance from a point,
bent by smooth waves; lines lie where it is a whole number. Nets, weaves and moirés are products of several sets.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.composition.paper.textures import happens, window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]  # [h, w]

_TILE = (300, 640)  # pixels
_TILES = 200
_SEED = 1969


def pattern(shape: tuple[int, int], random: np.random.Generator) -> Plane:
    """Return a random window of a random pattern: darkness, float32 [h, w], 0 (paper) … 1 (printed)."""
    tile = _tile(int(random.integers(_TILES)))
    return window(tile, shape, random).astype(np.float32) * np.float32(1 / 255)


@functools.cache
def _tile(index: int) -> NDArray[np.uint8]:
    """Build the tile of this number: uint8 [300, 640]; 200 tiles take 38 MB."""
    random = np.random.default_rng((_SEED, index))
    family = _FAMILIES[index % len(_FAMILIES)]
    darkness = family(random)
    if happens(0.5, random):
        darkness = darkness[:, ::-1]
    if happens(0.5, random):
        darkness = darkness[::-1]
    return (np.clip(darkness, 0, 1) * 255).astype(np.uint8)


def _lines(phase: Plane, width: float) -> Plane:
    """Draw dark lines, `width` pixels wide, where `phase` is a whole number: float32 0 … 1."""
    slope = np.hypot(*np.gradient(phase)) + np.float32(1e-3)  # periods in a pixel
    distance = np.abs(phase - np.round(phase)) / slope  # pixels
    lines: Plane = np.exp(-((distance / np.float32(width)) ** 2))
    # Where the lines are closer than they are wide, a scanner sees an even grey.
    return lines


def _stripes(angle: float, period: float, random: np.random.Generator, bend: float = 0.0) -> Plane:
    """Return a phase that grows across stripes at `angle` (radians from horizontal), `period` pixels apart.

    The stripes are bent by waves with an amplitude of `bend` pixels.
    """
    y, x = np.mgrid[: _TILE[0], : _TILE[1]].astype(np.float32)
    across = y * math.cos(angle) - x * math.sin(angle)
    along = x * math.cos(angle) + y * math.sin(angle)
    for octave in range(3):
        length = random.uniform(25, 150) / 1.6**octave  # pixels in a wave
        drift = random.uniform(-0.5, 0.5) / length * across
        waves = np.sin(2 * math.pi * (along / length + drift + random.random()))
        across = across + bend / 2**octave * waves
    phase: Plane = (across / period + random.random()).astype(np.float32)
    return phase


def _rings(period: float, random: np.random.Generator) -> Plane:
    """Return a phase that grows with the distance from a point, as in concentric ovals bent by a few petals."""
    y, x = np.mgrid[: _TILE[0], : _TILE[1]].astype(np.float32)
    dx = (x - random.uniform(-0.2, 1.2) * _TILE[1]) * random.uniform(0.4, 1)
    dy = y - random.uniform(-0.5, 1.5) * _TILE[0]
    petals = 1 + random.uniform(0, 0.12) * np.sin(int(random.integers(3, 14)) * np.arctan2(dy, dx))
    phase: Plane = (np.hypot(dx, dy) * petals / period).astype(np.float32)
    return phase


def _waves(random: np.random.Generator) -> Plane:
    """Dense dark waves along the line of writing, sometimes with thin uprights."""
    tilt = random.normal(0, 0.06)
    period = random.uniform(3.4, 6.5)
    print_ = _lines(_stripes(tilt, period, random, random.uniform(0.3, 2.2)), random.uniform(0.7, 1.1))
    print_ *= _fading(random)
    if happens(0.5, random):
        faint = _lines(_stripes(tilt + random.normal(0, 0.05), period * random.uniform(0.7, 1.6), random, 1.0), 0.7)
        print_ = np.maximum(print_, faint * random.uniform(0.3, 0.8))
    if happens(0.5, random):
        uprights = _lines(_stripes(random.normal(1.45, 0.15), random.uniform(8, 40), random, 1.5), 0.6)
        print_ = np.maximum(print_, uprights * random.uniform(0.2, 0.6))
    return print_


def _hatching(random: np.random.Generator) -> Plane:
    """Slanted strong lines, broken by a mottled second set."""
    tilt = random.uniform(0.12, 0.9) * (1 if happens(0.5, random) else -1)
    print_ = _lines(_stripes(tilt, random.uniform(3, 7), random, random.uniform(0, 0.8)), random.uniform(0.7, 1.3))
    other = _lines(_stripes(-tilt * random.uniform(0.3, 1), random.uniform(3, 9), random, 0.8), 0.8)
    return np.asarray(np.maximum(print_ * _fading(random), other * random.uniform(0, 0.6)))


def _net(random: np.random.Generator) -> Plane:
    """Two or three sets of thin lines that cross: guilloche, crosshatch, moiré."""
    bend = (0.3, 2.0, 6.0)[random.integers(3)]
    print_ = np.zeros(_TILE, np.float32)
    for _ in range(random.integers(2, 4)):
        phase = _stripes(random.uniform(-1.2, 1.2), random.uniform(3, 9), random, bend)
        print_ = np.maximum(print_, _lines(phase, random.uniform(0.5, 0.9)) * random.uniform(0.5, 1))
    return print_ * _fading(random)


def _guilloche(random: np.random.Generator) -> Plane:
    """Curved nets of concentric ovals."""
    print_ = _lines(_rings(random.uniform(3, 8), random), random.uniform(0.5, 0.9))
    print_ = np.maximum(print_, _lines(_rings(random.uniform(3, 8), random), 0.7) * random.uniform(0.3, 1))
    if happens(0.5, random):
        stripes = _lines(_stripes(random.normal(0, 0.5), random.uniform(3, 7), random, 2.5), 0.7)
        print_ = np.maximum(print_, stripes * random.uniform(0.2, 0.8))
    return np.asarray(print_)


def _weave(random: np.random.Generator) -> Plane:
    """A woven grain: noisy dots on a raster, sometimes with bare spots."""
    period = random.uniform(2.0, 6.5)
    turn = math.pi / 4 * int(random.integers(2)) + random.normal(0, 0.03)
    across = np.cos(2 * math.pi * _stripes(turn, period, random, 0.3))
    along = np.cos(2 * math.pi * _stripes(turn + math.pi / 2, period * random.uniform(0.8, 1.4), random, 0.3))
    noise = random.standard_normal(_TILE, dtype=np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), random.uniform(0.5, 1.4))  # type: ignore[assignment]
    share = random.uniform(0.1, 0.5)
    woven: Plane = 0.5 + share * across * along + (0.6 - share) * noise / noise.std() * 0.5
    if happens(0.5, random):
        woven = np.where(across * along > random.uniform(0.4, 0.8), 0.3 * woven, woven)
    return 0.85 * woven


def _fading(random: np.random.Generator) -> Plane:
    """Uneven print: float32 [300, 640], about 0.4 … 1."""
    coarse = random.uniform(0.35, 1.1, (8, 14)).astype(np.float32)
    faded: Plane = cv2.resize(coarse, _TILE[::-1], interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    return np.clip(faded, 0.3, 1)


# A family listed n times has n times the share of tiles.
_FAMILIES: tuple[Callable[[np.random.Generator], Plane], ...] = (
    _waves, _waves, _waves, _waves, _hatching, _net, _net, _guilloche, _guilloche, _weave, _weave,
)  # fmt: skip
