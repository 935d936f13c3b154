"""Ink on paper: how evenly a pen covers it, and what shows through or was erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.composition.paper.textures import clouds, grain, happens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]  # [h, w]


def deposit(coverage: Plane, random: np.random.Generator) -> Plane:
    """Turn the strokes' coverage into the amount of ink: float32 [h, w], 0 … 1.

    One of: even ink, uneven pressure, the streaks of a ball-pen, the grain of a pencil.
    """
    # A power below 1 spreads the ink, one above 1 thins it. NumPy's power takes six times as long.
    power = np.float32(np.exp(random.normal(0, 0.3)))
    with np.errstate(divide="ignore"):  # the logarithm of no ink
        amount = np.exp(power * np.log(coverage))
    if happens(0.5, random):
        amount = amount * (1 + random.uniform(0.05, 0.35) * clouds(coverage.shape, 3, random))
    if happens(0.3, random):
        size, depth = 0.5 * random.integers(1, 4), random.uniform(0.05, 0.4)
        amount = amount * np.minimum(1 + depth * grain(coverage.shape, size, random), 1.0)
    return np.asarray(np.clip(amount, 0, 1), np.float32)


def ghost(coverage: Plane, random: np.random.Generator) -> Plane:
    """Return what shows through from the other side or was erased: float32 [h, w], 0 … 1, before its weight.

    It is the mirrored, shifted and blurred writing itself, so it resembles writing but rarely a digit.
    """
    height, width = coverage.shape
    mirrored = cv2.flip(coverage, 1 if happens(0.6, random) else -1)
    shift = np.array([[1, 0, random.normal(0, 0.4) * width], [0, 1, random.normal(0, 0.35) * height]])
    moved = cv2.warpAffine(mirrored, shift, (width, height))
    blurred: Plane = cv2.GaussianBlur(moved, (0, 0), random.uniform(0.6, 0.06 * height + 0.7))  # type: ignore[assignment]
    return blurred


def intruders(coverage: Plane, random: np.random.Generator) -> Plane:
    """Draw parts of neighbouring writing that reach in over the border: float32 [h, w], 0 … 1.

    They come from the line above or below, or are curved strokes from any side. They reach about 7 % of the height.
    """
    reach = min(random.exponential(0.07), 0.2) * coverage.shape[0]
    return (_next_line if happens(0.5, random) else _arcs)(coverage, reach, random)


def _next_line(coverage: Plane, reach: float, random: np.random.Generator) -> Plane:
    """Let the writing itself, mirrored, reach in from the top or the bottom by `reach` pixels."""
    height, width = coverage.shape
    rows = np.flatnonzero(coverage.max(axis=1) > 0.5)
    if not rows.size:
        return np.zeros_like(coverage)
    down = reach - rows[-1] - 1 if happens(0.5, random) else height - reach - rows[0]
    shift = np.array([[-1, 0, width + random.normal(0, 0.2) * width], [0, 1, down]])
    return cv2.warpAffine(coverage, shift, (width, height))  # type: ignore[return-value]


def _arcs(coverage: Plane, reach: float, random: np.random.Generator) -> Plane:
    """Draw ellipses that are mostly outside the picture."""
    height, width = coverage.shape
    mask = np.zeros(coverage.shape, np.uint8)
    for _ in range(random.integers(1, 4)):
        radius = random.uniform(0.1, 0.35) * height
        side = random.integers(4)
        x = random.random() * width if side < 2 else (reach - radius, width - reach + radius)[side - 2]
        y = random.random() * height if side >= 2 else (reach - radius, height - reach + radius)[side]
        axes = (max(1, round(radius * random.uniform(0.3, 1))), max(1, round(radius)))
        axes = axes[::-1] if side >= 2 else axes
        thickness = max(1, round(height * random.uniform(0.02, 0.06)))
        cv2.ellipse(mask, (round(x), round(y)), axes, 0, 0, 360, (255,), thickness, cv2.LINE_AA)
    return mask * np.float32(1 / 255)
