"""Pictures of whole numbers that were misread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mnist_cnn.evaluation.figures.style import RULE, WRONG, frame, image_grid, shorten, styled

_COLUMNS = 4
_TILE = 1.9, 0.7  # inches
_PIXELS = 400, 150  # the most that is drawn of a picture
_LONGEST = 12  # characters of a number


@dataclass(frozen=True, eq=False)
class MisreadNumber:
    """One picture, and what was read in it."""

    image: NDArray[np.uint8]  #: [h, w], grey levels
    text: str  #: what is written; empty if there is no number
    read: str  #: what was read; empty if nothing was
    confidence: float  #: 0 to 1
    accepted: bool


@styled
def misread_numbers(misread: Sequence[MisreadNumber]) -> Figure:
    """Show at least one picture in the order given: written → read, and the confidence; accepted ones stand out."""
    width, height = _TILE
    figure, tiles = image_grid(len(misread), _COLUMNS, tile=width, caption=0.55, height=height)
    for axes, each in zip(tiles, misread, strict=True):
        drawn = ImageOps.contain(Image.fromarray(each.image), _PIXELS, Image.Resampling.BICUBIC)
        axes.imshow(np.asarray(drawn), cmap="gray", vmin=0, vmax=255)
        frame(axes, WRONG if each.accepted else RULE, 1.4 if each.accepted else 0.8)
        text, read = shorten(each.text, _LONGEST) or "no number", shorten(each.read, _LONGEST) or "nothing"
        axes.set_title(f"{text} → {read}", fontsize=9, loc="center", pad=3)
        verdict = ", accepted" if each.accepted else ""
        axes.set_xlabel(f"{100 * each.confidence:.1f} % sure{verdict}", fontsize=7.5, labelpad=2)
    return figure
