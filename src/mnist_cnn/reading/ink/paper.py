"""The paper behind the ink, and how the light falls on it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BARE = 63  # level of bare paper in an ink map; not 0, so that noise shows on both of its sides
WIDE, NARROW = 0.4, 0.12  # spans: the widest stroke that is ink rather than shadow, as a share of the shorter side

_GRID = 16  # rows and columns of the thumbnail to which the surface of light is fitted
_ROUNDS = 4  # of clipping; with more, a broad digit gives way to a surface bent around it
_DARKEST = 16.0  # grey levels: division by darker paper would show its noise alone
_RIM_PAPER = 0.9  # quantile of the border's levels that is paper, though ink touches it
_THUMBNAIL = 128  # pixels, the longer side on which paper is estimated: light changes slowly


def light_on_paper(grey: NDArray[Any]) -> NDArray[Any]:
    """Fit a quadratic surface to the paper's grey levels: lamps, gradients and vignettes.

    The fit is robust as Huber's is: residuals are clipped at their mean size, again and again, so that ink and
    dirt, being few, lose their pull.

    Returns:
        float32 [16, 16], grey levels.
    """
    values = cv2.resize(grey, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    surface, solve = _quadratic()
    fitted = np.full_like(values, np.sort(values)[len(values) // 2])  # np.median takes four times as long
    for _ in range(_ROUNDS):
        error = values - fitted
        spread = np.abs(error).mean() + 1
        fitted = surface @ (solve @ (fitted + error.clip(-spread, spread)))
    light: NDArray[Any] = fitted.reshape(_GRID, _GRID)
    return light


def lift_ink(grey: NDArray[Any], span: float = WIDE) -> NDArray[Any]:
    """Divide dark ink by the paper around it, since light falls on both and multiplies both.

    The paper under a stroke is what a morphological closing puts there: the lightest of what is near. Straight
    edges of shadows wider than the span stay where they are, and divide out.

    Args:
        grey: [h, w], ink darker than paper.
        span: Share of the shorter side; what is dark and narrower is ink.

    Returns:
        uint8 [h, w], `BARE` where the paper is bare, 255 where the ink gives no light back.
    """
    height, width = grey.shape
    scale = min(1.0, _THUMBNAIL / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    light = cv2.resize(light_on_paper(grey).clip(_DARKEST, None), small)
    thumbnail = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
    even: NDArray[Any] = thumbnail / light
    if scale < 1:
        even = cv2.blur(even, (3, 3))  # a closing follows the lightest pixel, so noise must be small
    side = max(3, round(min(small) * span) | 1)
    even = _close(even, side)
    even = cv2.blur(even, (side // 8 | 1, side // 8 | 1))  # off with the closing's square corners
    paper = cv2.resize(even * light, (width, height)).clip(1, 255).astype(np.uint8)
    return cv2.bitwise_not(cv2.divide(grey, paper, scale=255 - BARE))


def _close(even: NDArray[Any], side: int) -> NDArray[Any]:
    """Close what is dark and narrower than `side`. Around the picture lies more paper: a tight crop shows little."""
    rim = np.concatenate([even[0], even[-1], even[:, 0], even[:, -1]])
    paper = float(np.sort(rim)[int(_RIM_PAPER * len(rim))])
    wide = cv2.copyMakeBorder(even, side, side, side, side, cv2.BORDER_CONSTANT, value=paper)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return closed[side:-side, side:-side]


@cache
def _quadratic() -> tuple[NDArray[Any], NDArray[Any]]:
    """Give the surface's six terms at each place [256, 6], and the least-squares solver [6, 256]."""
    y, x = np.mgrid[-1 : 1 : _GRID * 1j, -1 : 1 : _GRID * 1j].reshape(2, -1)
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)
    return terms.astype(np.float32), np.linalg.pinv(terms).astype(np.float32)
