"""Where in a picture the digit is: on a sheet or a disc, in a ring, or in one within the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.reading.ink.crops import uncropped
from mnist_cnn.reading.ink.discs import on_disc
from mnist_cnn.reading.ink.paper import WIDE
from mnist_cnn.reading.ink.polarity import ink_is_light
from mnist_cnn.reading.ink.rings import Ring, only_inside, ring_around
from mnist_cnn.reading.ink.sheets import Sheet, find_sheets, is_hollow, is_surround, straightened
from mnist_cnn.reading.ink.views import View, find_view, shrink, view_as

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OVERVIEW = 384  # pixels, the longer side on which the digit is looked for
_FINE, _LARGE = 2048, 0.5  # pixels, instead; for pictures of which the overview's scale is less
_TINY = 10.0  # pixels there, the longer side of the smallest digit
_DOT = 0.45  # of that side: the thickness of what is not a digit, but dirt
_VARIES = 0.5  # of the contrast between ink and paper: so much do grey levels differ along a border with ink on it
_DEPTH = 2  # enclosures within each other
_FAINTEST = 0.25  # of the contrast between sheet and surround: what is fainter is the sheet's texture
_BLOCK = 0.4  # of its box: ink that covers more may be a sheet, too small to be seen at once
_SMALL = 0.6  # of the overview's longer side
_MARGIN = 0.4  # of such a sheet's size


@dataclass(frozen=True, eq=False)
class Digit:
    """One digit, and the picture that shows it without what is around it."""

    grey: NDArray[Any]  # uint8 [h, w]: the picture as it came, or what an enclosure holds
    view: View  # of the whole of `grey`
    scale: float  # of the view, beside `grey`
    is_single: bool  # nothing beside it could be a digit too
    enclosures: tuple[tuple[str, NDArray[Any]], ...] = ()  # name and contents of each, from the outermost


def find_digit(grey: NDArray[Any], depth: int = _DEPTH) -> Digit | None:
    """Find the digit of a picture; None where there is no ink.

    Args:
        grey: uint8 [h, w].
        depth: How many enclosures are looked into.
    """
    overview, scale = shrink(grey, _OVERVIEW)
    if depth and (digit := _on_sheet(grey, overview, depth)):
        return digit
    if depth and (digit := _on_disc(grey, depth)):
        return digit
    view = find_view(overview)
    if (view is None or _may_be_cropped(view)) and (roomy := uncropped(grey)) is not None:
        digit = find_digit(roomy, depth - 1)
        return digit and _within("paper laid around", roomy, digit)
    if view is None:
        return _tiny(grey) if scale < _LARGE else None
    is_single = view.strokes.is_single and not is_surround(overview, view.strokes.mask)
    digit = Digit(grey, view, scale, is_single)
    return (_on_small_sheet(digit, depth) or _in_ring(digit, depth) or digit) if depth else digit


def _may_be_cropped(view: View) -> bool:
    """Whether there seems to be ink on the picture's border: a quick look."""
    strokes, edge = view.strokes, view.ink[0]
    return strokes.touches_border or int(edge.max()) - int(edge.min()) > _VARIES * (strokes.peak - strokes.paper)


def _tiny(grey: NDArray[Any]) -> Digit | None:
    """Find a digit that is tiny on its page, in a finer overview; None where all that stands out is a dot."""
    overview, scale = shrink(grey, _FINE)
    view = view_as(overview, ink_is_light(overview), WIDE, _TINY)
    if view is None or view.strokes.touches_border:
        return None
    thickness = 2 * cv2.minMaxLoc(cv2.distanceTransform(view.strokes.mask, cv2.DIST_L2, 3))[1]
    if thickness > _DOT * max(view.strokes.box[2:]):
        return None
    return Digit(grey, view, scale, view.strokes.is_single)


def _on_sheet(grey: NDArray[Any], overview: NDArray[Any], depth: int) -> Digit | None:
    """Find the digit on a sheet; None where there is none."""
    size = np.array(grey.shape[::-1]) / overview.shape[::-1]
    for sheet in find_sheets(overview):
        alone = straightened(grey, ((sheet.corners + 0.5) * size - 0.5).astype(np.float32))
        if digit := _on_this_sheet(alone, sheet, depth):
            return digit
    return None


def _on_this_sheet(alone: NDArray[Any], sheet: Sheet, depth: int) -> Digit | None:
    """Find the digit on a sheet that is cut out; None where it is blank: a bold 1 looks like one."""
    if is_hollow(alone):
        return None
    digit = find_digit(alone, depth - 1)
    if digit is None or digit.view.contrast < _FAINTEST * sheet.contrast:
        return None
    if digit.view.strokes.touches_border and not sheet.is_exact:  # a piece of a blot, and what it encloses
        return None
    is_whole = sheet.is_surrounded or not digit.view.strokes.touches_border  # a shadow's edge may cut a digit
    return _within("sheet", alone, digit, sheet.is_single and is_whole)


def _on_disc(grey: NDArray[Any], depth: int) -> Digit | None:
    """Find the digit on a filled disc."""
    disc = on_disc(grey)
    digit = disc and find_digit(disc[0], depth - 1)
    return digit and disc and _within("disc", disc[0], digit, disc[1])


def _on_small_sheet(digit: Digit, depth: int) -> Digit | None:
    """Look closer at what may be a sheet, small in its surround."""
    mask = digit.view.strokes.mask
    left, top, width, height = digit.view.strokes.box
    if max(width, height) > _SMALL * max(mask.shape) or cv2.countNonZero(mask) < _BLOCK * width * height:
        return None
    margin = _MARGIN * max(width, height)
    rows, columns = _widened(top, height, margin, digit.scale), _widened(left, width, margin, digit.scale)
    part = digit.grey[rows, columns]
    found = _on_sheet(part, shrink(part, _OVERVIEW)[0], depth)
    return found and replace(found, is_single=found.is_single and digit.is_single)


def _widened(start: int, length: int, margin: float, scale: float) -> slice:
    return slice(max(0, round((start - margin) / scale)), round((start + length + margin) / scale))


def _in_ring(digit: Digit, depth: int) -> Digit | None:
    """Find the digit in the ring that was taken for one."""
    ring = ring_around(digit.view.strokes.core)
    if ring is None:
        return None
    alone = _contents(digit, ring)
    inner = find_digit(alone, depth - 1)
    return inner and _within("inside the ring", alone, inner, digit.is_single and ring.is_clear)


def _within(name: str, picture: NDArray[Any], digit: Digit, is_single: bool = True) -> Digit:
    enclosures = ((name, picture), *((f"{name}, closer", image) for name, image in digit.enclosures))
    return replace(digit, is_single=is_single and digit.is_single, enclosures=enclosures)


def _contents(digit: Digit, ring: Ring) -> NDArray[Any]:
    """Cut out what a ring holds, and lay paper over the ring."""
    left, top, width, height = cv2.boundingRect(ring.inside)
    rows, columns = slice(max(top, 0), top + height), slice(max(left, 0), left + width)
    part = digit.grey[_scaled(rows, digit.scale), _scaled(columns, digit.scale)]
    size = part.shape[::-1]
    corners = (ring.inside - [columns.start, rows.start]) * (np.array(size) / [width, height])
    inside = cv2.fillPoly(np.zeros(part.shape, np.uint8), [np.rint(corners).astype(np.int32)], 1)
    ink = cv2.resize(digit.view.strokes.mask[rows, columns], size, interpolation=cv2.INTER_NEAREST)
    return only_inside(part, inside, ink)


def _scaled(pixels: slice, scale: float) -> slice:
    return slice(round(pixels.start / scale), round(pixels.stop / scale))
