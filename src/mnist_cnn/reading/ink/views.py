"""Views of a picture, or of a part of it, in which a digit has been found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.reading.ink.paper import NARROW, WIDE, lift_ink
from mnist_cnn.reading.ink.polarity import ink_is_light
from mnist_cnn.reading.ink.strokes import Strokes, find_strokes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AS_DARK = 0.5  # of the strokes' area
_FILLS = 0.9  # of the picture's height and width
_LEAST_SIDE = 3  # pixels of a picture that can show anything


@dataclass(frozen=True)
class View:
    """A part of the picture with its ink dark, and what was found in it."""

    grey: NDArray[Any]  # [h, w], ink dark
    ink: NDArray[Any]  # [h, w], ink light
    inverted: bool  # against the picture
    strokes: Strokes

    @property
    def contrast(self) -> float:
        """Grey levels between the strokes and the rest."""
        mask = self.strokes.mask
        return cv2.mean(self.grey, 1 - mask)[0] - cv2.mean(self.grey, mask)[0]


def shrink(grey: NDArray[Any], longest: int) -> tuple[NDArray[Any], float]:
    """Scale a picture down to a longer side of so many pixels; give the scale, at most 1, too."""
    scale = min(1.0, longest / max(grey.shape))
    if scale == 1:
        return grey, scale
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA), scale


def find_view(grey: NDArray[Any]) -> View | None:
    """Find the digit. What lies along the border may be a shadow: then once more, with an eye for slim strokes."""
    if min(grey.shape) < _LEAST_SIDE:
        return None
    inverted = ink_is_light(grey)
    view = view_as(grey, inverted) or _filling(view_as(grey, not inverted))
    if view is None or not view.strokes.at_border:
        return view
    slim = view_as(grey, view.inverted, NARROW)
    return view if slim is None or slim.strokes.at_border else slim


def view_as(grey: NDArray[Any], inverted: bool, span: float = WIDE, least: float | None = None) -> View | None:
    """Find the digit where it is known which is the ink.

    Args:
        grey: uint8 [h, w].
        inverted: Whether the ink is lighter than its paper.
        span: As for `lift_ink`.
        least: As for `find_strokes`.
    """
    grey = cv2.bitwise_not(grey) if inverted else grey
    ink = lift_ink(grey, span)
    strokes = find_strokes(ink, least)
    if strokes is None or (strokes.touches_border and _is_edge(grey, strokes.mask)):
        return None
    return View(grey, ink, inverted, strokes)


def _is_edge(grey: NDArray[Any], mask: NDArray[Any]) -> bool:
    """Whether strokes are where a shadow or a desk begins: much of the rest is then as dark as they are."""
    darkness = float(np.median(grey[mask > 0]))
    return bool(np.count_nonzero(grey[mask == 0] <= darkness) > _AS_DARK * np.count_nonzero(mask))


def _filling(view: View | None) -> View | None:
    """Keep what reaches from end to end: a 1 cut out tightly is mostly ink, and its paper is taken for the ink."""
    if view is None:
        return None
    _, _, width, height = view.strokes.box
    return view if min(height / view.grey.shape[0], width / view.grey.shape[1]) > _FILLS else None
