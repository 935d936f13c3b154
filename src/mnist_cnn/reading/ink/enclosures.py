"""Where in an image the digit is: directly on it, or within enclosures: sheets, discs and rings, perhaps nested."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mnist_cnn.reading.ink.crops import uncropped, with_room
from mnist_cnn.reading.ink.discs import on_disc
from mnist_cnn.reading.ink.paper import WIDE, lift_ink
from mnist_cnn.reading.ink.pixels import Pixels, shrink
from mnist_cnn.reading.ink.polarity import ink_is_light
from mnist_cnn.reading.ink.rings import Ring, only_inside, ring_around
from mnist_cnn.reading.ink.sheets import Sheet, find_sheets, is_hollow, is_surround, straightened
from mnist_cnn.reading.ink.strokes import shows_several
from mnist_cnn.reading.ink.views import View, find_view, view_as

_OVERVIEW = 384  # pixels, longer side of the overview in which the digit is looked for
_FINE, _LARGE = 2048, 0.5  # pixels of a finer overview, for images whose first overview has a smaller scale
_TINY = 10.0  # pixels there, longer side of the smallest digit
_DOT = 0.45  # thickness relative to that side, from which it is dirt and not a digit
_VARIES = 0.5  # of the contrast between ink and paper: variation along a border with ink on it
_DEPTH = 2  # nested enclosures
_FAINTEST = 0.25  # of the contrast between sheet and surroundings; fainter ink is the sheet's texture
_BLOCK = 0.4  # of its box: ink that covers more may be a sheet, too small for the first look
_SMALL = 0.6  # of the overview's longer side
_MARGIN = 0.4  # of such a sheet's size


@dataclass(frozen=True, eq=False)
class Digit:
    """One digit, and the image that shows it without its surroundings."""

    grey: Pixels  # uint8 [h, w]: the original image, or the contents of an enclosure
    view: View  # of all of `grey`
    scale: float  # of the view relative to `grey`
    is_single: bool  # nothing beside it could be a digit too
    enclosures: tuple[tuple[str, Pixels], ...] = ()  # name and contents of each, from the outermost


def find_digit(grey: Pixels, depth: int = _DEPTH) -> Digit | None:
    """Find the digit in an image; None if there is no ink.

    Args:
        grey: uint8 [h, w].
        depth: Maximum number of nested enclosures.
    """
    overview, scale = shrink(grey, _OVERVIEW)
    if depth and (enclosed := _on_sheet(grey, overview, depth) or _on_disc(grey, depth)):
        return enclosed
    view = find_view(overview)
    if (view is None or _may_be_cropped(view)) and (roomy := uncropped(grey)) is not None:
        digit = find_digit(roomy, depth - 1)
        return digit and _within("paper added around", roomy, digit)
    if view is None:
        return _tiny(grey) if scale < _LARGE else _cut_off(grey, depth)
    is_single = view.strokes.is_single and not is_surround(overview, view.strokes.mask)
    digit = Digit(grey, view, scale, is_single)
    return (_on_small_sheet(digit, depth) or _in_ring(digit, depth) or digit) if depth else digit


def shows_several_digits(grey: Pixels) -> bool:
    """Return whether an image in which `find_digit` finds nothing contains several things that may be digits.

    Args:
        grey: uint8 [h, w].
    """
    overview, _ = shrink(grey, _OVERVIEW)
    return shows_several(lift_ink(cv2.bitwise_not(overview) if ink_is_light(overview) else overview, WIDE))


def _may_be_cropped(view: View) -> bool:
    """Return whether there seems to be ink on the image's border: a quick test."""
    strokes, edge = view.strokes, view.ink[0]
    return strokes.touches_border or int(edge.max()) - int(edge.min()) > _VARIES * (strokes.peak - strokes.paper)


def _cut_off(grey: Pixels, depth: int) -> Digit | None:
    """Find a digit that is cut off on several sides of a small image."""
    if not depth or (roomy := with_room(grey)) is None:
        return None
    digit = find_digit(roomy, depth - 1)
    return digit and _within("paper added around", roomy, digit)


def _tiny(grey: Pixels) -> Digit | None:
    """Find a digit that is tiny on its page, in a finer overview; None if only a dot stands out."""
    overview, scale = shrink(grey, _FINE)
    view = view_as(overview, ink_is_light(overview), WIDE, _TINY)
    if view is None or view.strokes.touches_border:
        return None
    thickness = 2 * cv2.minMaxLoc(cv2.distanceTransform(view.strokes.mask, cv2.DIST_L2, 3))[1]
    if thickness > _DOT * max(view.strokes.box[2:]):
        return None
    return Digit(grey, view, scale, view.strokes.is_single)


def _on_sheet(grey: Pixels, overview: Pixels, depth: int) -> Digit | None:
    """Find the digit on a sheet; None if there is none."""
    size = np.array(grey.shape[::-1]) / overview.shape[::-1]
    for sheet in find_sheets(overview):
        alone = straightened(grey, ((sheet.corners + 0.5) * size - 0.5).astype(np.float32))
        if digit := _on_this_sheet(alone, sheet, depth):
            return digit
    return None


def _on_this_sheet(alone: Pixels, sheet: Sheet, depth: int) -> Digit | None:
    """Find the digit on a sheet that is cut out; None if it is blank: a bold 1 looks like a blank sheet."""
    if is_hollow(alone):
        return None
    digit = find_digit(alone, depth - 1)
    if digit is None or digit.view.contrast < _FAINTEST * sheet.contrast:
        return None
    if digit.view.strokes.touches_border and not sheet.is_exact:  # part of a blot, and what it encloses
        return None
    is_whole = sheet.is_surrounded or not digit.view.strokes.touches_border  # a shadow's edge may cut a digit
    return _within("sheet", alone, digit, sheet.is_single and is_whole)


def _on_disc(grey: Pixels, depth: int) -> Digit | None:
    """Find the digit on a filled disc."""
    disc = on_disc(grey)
    digit = disc and find_digit(disc[0], depth - 1)
    return digit and disc and _within("disc", disc[0], digit, disc[1])


def _on_small_sheet(digit: Digit, depth: int) -> Digit | None:
    """Look closer at strokes that may be a sheet, small in its surroundings."""
    mask = digit.view.strokes.mask
    left, top, width, height = digit.view.strokes.box
    if max(width, height) > _SMALL * max(mask.shape) or cv2.countNonZero(mask) < _BLOCK * width * height:
        return None
    margin = _MARGIN * max(width, height)
    rows = _scaled(top - margin, top + height + margin, digit.scale)
    columns = _scaled(left - margin, left + width + margin, digit.scale)
    part = digit.grey[rows, columns]
    found = _on_sheet(part, shrink(part, _OVERVIEW)[0], depth)
    return found and replace(found, is_single=found.is_single and digit.is_single)


def _in_ring(digit: Digit, depth: int) -> Digit | None:
    """Find the digit in the ring that was mistaken for a digit."""
    ring = ring_around(digit.view.strokes.core)
    if ring is None:
        return None
    alone = _contents(digit, ring)
    inner = find_digit(alone, depth - 1)
    return inner and _within("inside the ring", alone, inner, digit.is_single and ring.is_clear)


def _within(name: str, picture: Pixels, digit: Digit, is_single: bool = True) -> Digit:
    enclosures = ((name, picture), *((f"{name}, closer", image) for name, image in digit.enclosures))
    return replace(digit, is_single=is_single and digit.is_single, enclosures=enclosures)


def _contents(digit: Digit, ring: Ring) -> Pixels:
    """Cut out the contents of a ring, and cover the ring with paper."""
    left, top, width, height = cv2.boundingRect(ring.inside)
    rows, columns = slice(max(top, 0), top + height), slice(max(left, 0), left + width)
    part = digit.grey[_scaled(rows.start, rows.stop, digit.scale), _scaled(columns.start, columns.stop, digit.scale)]
    size = part.shape[::-1]
    corners = (ring.inside - [columns.start, rows.start]) * (np.array(size) / [width, height])
    inside = cv2.fillPoly(np.zeros(part.shape, np.uint8), [np.rint(corners).astype(np.int32)], 1)
    ink = cv2.resize(digit.view.strokes.mask[rows, columns], size, interpolation=cv2.INTER_NEAREST)
    return only_inside(part, inside, ink)


def _scaled(start: float, stop: float, scale: float) -> slice:
    """Return a range of the view as a range of the original image."""
    return slice(max(0, round(start / scale)), round(stop / scale))
