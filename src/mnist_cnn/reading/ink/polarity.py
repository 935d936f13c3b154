"""Is the ink darker or lighter than its paper?"""

from __future__ import annotations

import cv2
import numpy as np

from mnist_cnn.reading.ink.paper import light_on_paper
from mnist_cnn.reading.ink.pixels import Pixels, border, lighter

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


def _depth(mask: Pixels) -> float:
    """Return the mean distance of a mask's pixels to its edge, in pixels. The image's border is not an edge."""
    return cv2.mean(cv2.distanceTransform(mask, cv2.DIST_L2, 3), mask)[0]
