"""Is the ink darker or lighter than its paper?"""

from __future__ import annotations

import itertools

import cv2
import numpy as np

from mnist_cnn.reading.ink.paper import light_on_paper
from mnist_cnn.reading.ink.pixels import Pixels, border, lighter

_SMALL = 128  # pixels, longer side of an image with bands; in a photo, edges are not that sharp
_LEAST = 8  # pixels, shorter side
_STEP = 0.5  # of the image's contrast: the least step from a pixel to the next at an edge of a band
_ALONG = 0.6  # of the edge's length: the least part with such a step; strokes that cross it are soft there
_BAND = 0.22  # of the image's longer side: the narrowest band; strokes are mostly narrower
_CONTRAST = 100  # grey levels: the least contrast of an image with bands
_LEAST_INK, _INK_ON_BORDER = 0.02, 0.05  # of a band, and of the image's border, when all bands have one polarity
_FEW = 0.25  # share of the image; a class of pixels that is smaller is the ink


def ink_is_light(grey: Pixels, light: Pixels | None = None) -> bool:
    """Return whether the ink is lighter than its paper.

    If there is little ink, it is the longer tail of the grey levels (their third moment about the paper). If both
    cover much, as in a tight crop, the paper covers more of the image's border, and the ink is the thinner of the two.

    Args:
        grey: uint8 [h, w].
        light: From `light_on_paper`, if it is known already.
    """
    height, width = grey.shape
    tail = grey - cv2.resize(light_on_paper(grey) if light is None else light, (width, height))
    pale = lighter((tail / 2 + 128).clip(0, 255).astype(np.uint8))
    if _FEW < cv2.mean(pale)[0] < 1 - _FEW:
        rim = float(border(lighter(grey)).mean())  # of the original levels: the fitted light bends around a broad digit
        return _depth(pale) ** 2 * rim < _depth(1 - pale) ** 2 * (1 - rim)
    return float((tail * tail * tail).sum()) > 0


def with_one_polarity(grey: Pixels) -> Pixels:
    """Invert every second band of a small image if ink and paper exchange their levels from band to band.

    A digit that continues across the straight edge of a black field looks like that.

    Args:
        grey: uint8 [h, w].

    Returns:
        The same array if the image has none.
    """
    if max(grey.shape) > _SMALL or min(grey.shape) < _LEAST:
        return grey
    upright = _without_bands(grey)
    if upright is not grey:
        return upright
    turned = grey.T
    level = _without_bands(turned)
    return grey if level is turned else np.ascontiguousarray(level.T)


def _without_bands(grey: Pixels) -> Pixels:
    """Do so for bands from top to bottom."""
    low, high = int(grey.min()), int(grey.max())
    if high - low < _CONTRAST:
        return grey
    steps = cv2.absdiff(grey[:, 1:], grey[:, :-1]) > _STEP * (high - low)
    edges = np.flatnonzero(steps[[0, -1]].all(axis=0) & (steps.mean(axis=0) >= _ALONG)) + 1
    sides = np.array([0, *edges, grey.shape[1]])
    if not len(edges) or np.diff(sides).min() < _BAND * max(grey.shape):
        return grey
    even = grey.copy()
    for start, end in zip(sides[1:-1:2], sides[2::2], strict=False):
        even[:, start:end] = low + high - grey[:, start:end].astype(np.int16)
    is_ink = np.abs(even - np.median(border(even))) > (high - low) / 2
    inked = [is_ink[:, start:end].mean() > _LEAST_INK for start, end in itertools.pairwise(sides)]
    # Between two others, a band without ink is a thick stroke; of two bands, it is a desk or a shadow.
    is_sound = all(inked[1:-1] or inked) and border(is_ink).mean() < _INK_ON_BORDER
    return even if is_sound else grey


def _depth(mask: Pixels) -> float:
    """Return the mean distance of a mask's pixels to its edge, in pixels. The image's border is not an edge."""
    return cv2.mean(cv2.distanceTransform(mask, cv2.DIST_L2, 3), mask)[0]
