"""Noise of several scales, cut from tiles that are made once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]  # [h, w]

_TILE = (512, 1536)  # pixels; wider than nearly every picture
_SEED = 20_13


def happens(probability: float, random: np.random.Generator) -> bool:
    """Return whether an effect of this probability is applied."""
    return bool(random.random() < probability)


def window(tile: NDArray[np.generic], shape: tuple[int, int], random: np.random.Generator) -> NDArray[np.generic]:
    """Cut a random window of `shape` (h, w) from `tile`, which is repeated by reflection where it is too small."""
    short = [max(0, size - have) for size, have in zip(shape, tile.shape, strict=True)]
    if any(short):
        tile = np.pad(tile, [(0, short[0]), (0, short[1])], mode="symmetric")
    top, left = (random.integers(have - size + 1) for size, have in zip(shape, tile.shape, strict=True))
    return tile[top : top + shape[0], left : left + shape[1]]


def grain(shape: tuple[int, int], size: float, random: np.random.Generator) -> Plane:
    """Return noise of mean 0 and variance 1, with grains of about `size` pixels: float32 [h, w].

    Args:
        shape: Height and width, pixels.
        size: Standard deviation of the Gaussian that smooths the noise, pixels; rounded to the nearest tile.
        random: Source of the draw.
    """
    cut: Plane = window(_noise(round(size * 2) / 2), shape, random)  # type: ignore[assignment]
    return cut


def clouds(shape: tuple[int, int], cells: int, random: np.random.Generator) -> Plane:
    """Return smooth noise of about unit variance that varies `cells` times over the height: float32 [h, w]."""
    columns = int(np.clip(cells * shape[1] / shape[0], 2, 64))
    coarse = random.standard_normal((cells + 1, columns + 1), dtype=np.float32)
    smooth: Plane = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    return smooth


@functools.cache
def _noise(sigma: float) -> Plane:
    noise = np.random.default_rng(_SEED).standard_normal(_TILE, dtype=np.float32)
    if sigma:
        noise = cv2.GaussianBlur(noise, (0, 0), sigma)  # type: ignore[assignment]
    return np.asarray(noise / noise.std(), np.float32)
