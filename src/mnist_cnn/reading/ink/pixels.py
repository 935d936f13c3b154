"""Small operations on arrays of pixels that several steps need."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np

Pixels: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"  # OpenCV's type stubs do not know dtypes


def shrink(grey: Pixels, longest: int) -> tuple[Pixels, float]:
    """Reduce an image so that its longer side has at most `longest` pixels; return the scale, at most 1, too."""
    scale = min(1.0, longest / max(grey.shape))
    if scale == 1:
        return grey, scale
    return cv2.resize(grey, scaled_size(grey, scale), interpolation=cv2.INTER_AREA), scale


def scaled_size(image: Pixels, scale: float) -> tuple[int, int]:
    """Return width and height after scaling, in pixels, at least 1 each."""
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))


def lighter(grey: Pixels) -> Pixels:
    """Mark the lighter of two classes of grey levels with 1, the darker with 0 (Otsu 1979)."""
    return cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]


def unlike_border(grey: Pixels) -> Pixels:
    """Mark the class of grey levels that covers less of the image's border with 1."""
    light = lighter(grey)
    return 1 - light if border(light).mean() > 0.5 else light


def border(image: Pixels) -> Pixels:
    """Return the pixels of an image's four sides, once around."""
    return np.concatenate([image[0], image[:, -1], image[-1, ::-1], image[::-1, 0]])


def filled(outline: Pixels, like: Pixels) -> Pixels:
    """Return a mask in the shape of `like`, 1 within an outline of OpenCV's."""
    return cv2.drawContours(np.zeros_like(like, np.uint8), [outline], -1, 1, cv2.FILLED)


def largest_part(mask: Pixels, connectivity: int) -> tuple[Pixels, list[int]] | None:
    """Return the mask of the largest connected part, and its left, top, width, height and area; None if empty."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity)
    if len(stats) < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return (labels == largest).astype(np.uint8), stats[largest].tolist()
