"""Views of an image, or of a part of it, in which a digit was found."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mnist_cnn.reading.ink.paper import NARROW, WIDE, lift_ink
from mnist_cnn.reading.ink.pixels import Pixels
from mnist_cnn.reading.ink.polarity import ink_is_light
from mnist_cnn.reading.ink.strokes import Strokes, find_strokes

_AS_DARK = 0.5  # of the strokes' area
_FILLS = 0.9  # of the image's height and width
_LEAST_SIDE = 3  # pixels


@dataclass(frozen=True)
class View:
    """A part of the image with its ink dark, and the digit that was found in it."""

    grey: Pixels  # [h, w], ink dark
    ink: Pixels  # [h, w], ink light
    inverted: bool  # relative to the image
    strokes: Strokes

    @property
    def contrast(self) -> float:
        """Grey levels between the strokes and the rest."""
        mask = self.strokes.mask
        return cv2.mean(self.grey, 1 - mask)[0] - cv2.mean(self.grey, mask)[0]


def find_view(grey: Pixels) -> View | None:
    """Find the digit. A shape along the border may be a shadow: then look again, for narrow strokes only."""
    if min(grey.shape) < _LEAST_SIDE:
        return None
    inverted = ink_is_light(grey)
    view = view_as(grey, inverted) or _filling(view_as(grey, not inverted))
    if view is None or not view.strokes.at_border:
        return view
    slim = view_as(grey, view.inverted, NARROW)
    return view if slim is None or slim.strokes.at_border else slim


def view_as(grey: Pixels, inverted: bool, span: float = WIDE, least: float | None = None) -> View | None:
    """Find the digit if its polarity is known.

    Args:
        grey: uint8 [h, w].
        inverted: Whether the ink is lighter than its paper.
        span: See `lift_ink`.
        least: See `find_strokes`.
    """
    grey = cv2.bitwise_not(grey) if inverted else grey
    ink = lift_ink(grey, span)
    strokes = find_strokes(ink, least)
    if strokes is None or (strokes.touches_border and _is_edge(grey, strokes.mask)):
        return None
    return View(grey, ink, inverted, strokes)


def _is_edge(grey: Pixels, mask: Pixels) -> bool:
    """Return whether the strokes are the edge of a shadow or a desk: then much of the rest is as dark as they are."""
    darkness = float(np.median(grey[mask > 0]))
    return bool(np.count_nonzero(grey[mask == 0] <= darkness) > _AS_DARK * np.count_nonzero(mask))


def _filling(view: View | None) -> View | None:
    """Keep a view that reaches from end to end: a tightly cropped 1 is mostly ink, so its polarity looks reversed."""
    if view is None:
        return None
    _, _, width, height = view.strokes.box
    return view if min(height / view.grey.shape[0], width / view.grey.shape[1]) > _FILLS else None
