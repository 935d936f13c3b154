"""Which of the two is the ink: what is lighter, or what is darker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.reading.ink.paper import light_on_paper

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW = 0.25  # share of the picture; below, the fewer pixels are the ink


def ink_is_light(grey: NDArray[Any]) -> bool:
    """Whether the ink is lighter than its paper.

    Where ink is scarce, it is the longer tail of the grey levels (their third moment about the paper). Where both
    cover much, as in a tight crop, the paper has more of the picture's border, and ink is the thinner of the two.
    """
    height, width = grey.shape
    tail = grey - cv2.resize(light_on_paper(grey), (width, height))
    light = _lighter((tail / 2 + 128).clip(0, 255).astype(np.uint8))
    if _FEW < cv2.mean(light)[0] < 1 - _FEW:
        rim = _share_of_border(_lighter(grey))  # of the bare levels: the surface of light bends around a broad digit
        return _depth(light) ** 2 * rim < _depth(1 - light) ** 2 * (1 - rim)
    return float((tail * tail * tail).sum()) > 0


def _lighter(levels: NDArray[Any]) -> NDArray[Any]:
    """Mark the lighter of two classes with 1 (Otsu 1979)."""
    return cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]


def _share_of_border(mask: NDArray[Any]) -> float:
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())


def _depth(mask: NDArray[Any]) -> float:
    """Give the mean distance of a mask's pixels to its edge, in pixels. The picture's border is no edge."""
    return cv2.mean(cv2.distanceTransform(mask, cv2.DIST_L2, 3), mask)[0]
