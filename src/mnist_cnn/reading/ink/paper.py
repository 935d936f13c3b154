"""The paper behind the ink, and the light that falls on it."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from mnist_cnn.reading.ink.pixels import Pixels, border, shrink

BARE = 63  # level of bare paper in an ink map; above 0, so that noise shows on both sides
WIDE, NARROW = 0.4, 0.12  # spans: the widest stroke that is ink and not shadow, as a share of the shorter side

_GRID = 16  # rows and columns of the thumbnail to which the surface of light is fitted
_ROUNDS = 4  # of clipping; with more, the surface would bend around a broad digit
_DARKEST = 16.0  # grey levels; division by darker paper would only amplify its noise
_RIM_PAPER = 0.9  # quantile of the border's levels that is paper even if ink touches the border
_THUMBNAIL = 128  # pixels, longer side of the image in which paper is estimated: light changes slowly


def light_on_paper(grey: Pixels) -> Pixels:
    """Fit a quadratic surface to the paper's grey levels: lamps, gradients and vignettes.

    The fit is robust, like Huber's: residuals are repeatedly clipped at their mean size, so that the few pixels of ink
    and dirt lose their influence.

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
    return fitted.reshape(_GRID, _GRID)


def lift_ink(grey: Pixels, span: float = WIDE) -> Pixels:
    """Divide dark ink by the paper around it, because light multiplies both.

    The paper under a stroke is estimated by a morphological closing, from the lightest pixels nearby. Straight edges
    of shadows wider than the span keep their place, and the division removes them.

    Args:
        grey: [h, w], ink darker than paper.
        span: Share of the shorter side; dark shapes that are narrower are ink.

    Returns:
        uint8 [h, w], `BARE` on bare paper, 255 where the ink reflects no light.
    """
    height, width = grey.shape
    thumbnail, scale = shrink(grey, _THUMBNAIL)
    light = cv2.resize(light_on_paper(grey).clip(_DARKEST, None), thumbnail.shape[::-1])
    even: Pixels = thumbnail / light
    if scale < 1:
        even = cv2.blur(even, (3, 3))  # a closing follows the lightest pixel, so noise must be small
    side = max(3, round(min(thumbnail.shape) * span) | 1)
    even = _close(even, side)
    even = cv2.blur(even, (side // 8 | 1, side // 8 | 1))  # removes the closing's square corners
    paper = cv2.resize(even * light, (width, height)).clip(1, 255).astype(np.uint8)
    return cv2.bitwise_not(cv2.divide(grey, paper, scale=255 - BARE))


def _close(even: Pixels, side: int) -> Pixels:
    """Close dark shapes narrower than `side`. More paper is added around, because a tight crop shows little."""
    rim = border(even)
    paper = float(np.sort(rim)[int(_RIM_PAPER * len(rim))])
    wide = cv2.copyMakeBorder(even, side, side, side, side, cv2.BORDER_CONSTANT, value=paper)
    return cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))[side:-side, side:-side]


@cache
def _quadratic() -> tuple[Pixels, Pixels]:
    """Return the surface's six terms at each place [256, 6], and the least-squares solver [6, 256]."""
    y, x = np.mgrid[-1 : 1 : _GRID * 1j, -1 : 1 : _GRID * 1j].reshape(2, -1)
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)
    return terms.astype(np.float32), np.linalg.pinv(terms).astype(np.float32)
