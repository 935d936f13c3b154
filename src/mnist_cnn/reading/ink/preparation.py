"""The steps from an image to MNIST's form, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from mnist_cnn.reading.ink import form
from mnist_cnn.reading.ink.enclosures import Digit, find_digit, shows_several_digits
from mnist_cnn.reading.ink.outlines import filled
from mnist_cnn.reading.ink.pixels import Pixels, shrink
from mnist_cnn.reading.ink.polarity import with_one_polarity
from mnist_cnn.reading.ink.sources import MAX_PIXELS, ImageSource, read_image
from mnist_cnn.reading.ink.specks import without_specks
from mnist_cnn.reading.ink.views import View, view_as

PREPROCESSING = "ink-4"  # increased when any image is prepared differently: thresholds are chosen with it

_CLOSE_UP = 160  # pixels, longer side of the digit with its margin, for the closer look
_CLOSE_SPAN = 0.75  # like `WIDE`, but at least as wide as the digit is there: solid shapes stay solid
_MARGIN = 0.3  # of the digit's size
_SMALL = 0.6  # of the image: a smaller digit gets a closer look

_REPAIRS = (  # what each does, and the function that returns the same array if there is nothing to do
    ("one polarity", with_one_polarity),
    ("without specks", without_specks),
    ("without holes", form.without_holes),
)

Steps: TypeAlias = "list[tuple[str, Pixels]]"


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image in MNIST's form."""

    image: Pixels  #: uint8 [28, 28], ink light on 0
    has_ink: bool  #: if not, nothing was found, and the image is all 0
    is_single: bool = True  #: if not, there is other ink beside it, as large as a digit, or several such things alone


def prepare(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Prepared:
    """Convert an image of a digit, of any size, polarity and lighting, to MNIST's form.

    The pixels of an image that is in MNIST's form already, or of its negative, do not change.

    Args:
        source: See `read_image`.
        max_pixels: See `read_image`.

    Raises:
        ImageError: See `read_image`.
    """
    return _prepare(read_image(source, max_pixels), [])


def stages(source: ImageSource) -> Steps:
    """Return name and image (uint8 [h, w]) of every step of `prepare`, the last one its result.

    Raises:
        ImageError: See `read_image`.
    """
    steps: Steps = []
    _prepare(read_image(source), steps)
    return steps


def _prepare(grey: Pixels, steps: Steps) -> Prepared:
    """Prepare an image, and append every step's name and image to `steps`."""
    steps.append(("grey levels", grey))
    for name, repair in _REPAIRS:
        repaired = repair(grey)
        if repaired is not grey:
            grey = repaired
            steps.append((name, grey))
            break  # one defect explains what others look like
    for image in (grey, cv2.bitwise_not(grey)):
        if form.in_mnist_form(image):
            steps.append(("in MNIST's form already", image.copy()))
            return Prepared(steps[-1][1], has_ink=True)
    digit = find_digit(grey)
    if digit is None:
        steps.append(("no ink", np.zeros((form.SIZE, form.SIZE), np.uint8)))
        return Prepared(steps[-1][1], has_ink=False, is_single=not shows_several_digits(grey))
    steps += [*digit.enclosures, *_pictures(digit.view, "")]
    closer = _look_closer(digit)
    steps += _pictures(closer, ", closer") if closer else []
    fine = form.magnify(_stroke_levels(closer or digit.view))
    even = form.even_strokes(form.whole_strokes(filled(fine)))
    image = form.fit(even)
    steps += [("digit", fine), ("stroke width", even), ("in MNIST's form", image)]
    return Prepared(image, bool(image.any()), digit.is_single)


def _pictures(view: View, suffix: str) -> Steps:
    return [
        (f"dark on light{suffix}", view.grey),
        (f"ink without paper{suffix}", view.ink),
        (f"strokes{suffix}", view.strokes.mask * np.uint8(255)),
    ]


def _look_closer(digit: Digit) -> View | None:
    """Find a small digit again in the original image: in higher resolution, with the levels of its surroundings."""
    grey, view, scale = digit.grey, digit.view, digit.scale
    left, top, width, height = view.strokes.box
    size = max(width, height)
    if size > _SMALL * max(view.grey.shape) or min(view.grey.shape) < _CLOSE_UP / 2:
        return None
    field_rows, field_columns = view.strokes.field
    rows = _around(top, height, _MARGIN * size, field_rows, scale)
    columns = _around(left, width, _MARGIN * size, field_columns, scale)
    return view_as(shrink(grey[rows, columns], _CLOSE_UP)[0], view.inverted, _CLOSE_SPAN)


def _around(start: int, length: int, margin: float, field: slice, scale: float) -> slice:
    """Widen a range by a margin, but not beyond its field, in pixels of the original image."""
    low, high = max(start - margin, field.start or 0), min(start + length + margin, field.stop or np.inf)
    return slice(round(min(low, start) / scale), round(max(high, start + length) / scale))


def _stroke_levels(view: View) -> Pixels:
    """Cut the strokes out with soft edges: 0 for paper, 255 for a full stroke."""
    strokes = view.strokes
    _, _, width, height = strokes.box
    edge = max(1, round(max(width, height) / 40)) * 2 + 1
    mask = cv2.dilate(strokes.mask, np.ones((edge, edge), np.uint8))
    contrast = strokes.peak - strokes.paper
    low, high = strokes.paper + 0.2 * contrast, strokes.paper + 0.85 * contrast
    levels = ((view.ink - np.float32(low)) * np.float32(255 / (high - low))).clip(0, 255).astype(np.uint8) * mask
    left, top, width, height = cv2.boundingRect((levels > 32).astype(np.uint8))
    return levels[top : top + height, left : left + width]
