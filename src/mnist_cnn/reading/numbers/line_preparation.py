"""From a picture of a handwritten number to the line that the network reads: dark ink on light paper, 32 pixels high.

The same steps prepare composed pictures for training, so the network sees what it will be given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mnist_cnn.errors import ImageError
from mnist_cnn.reading.ink.paper import light_on_paper
from mnist_cnn.reading.ink.pixels import Pixels, scaled_size
from mnist_cnn.reading.ink.polarity import ink_is_light
from mnist_cnn.reading.ink.sources import MAX_PIXELS, ImageSource, read_reduced
from mnist_cnn.reading.numbers.field import Field, find_field

PREPARATION = "line-2"  # increased when looks differ in anything: calibration and thresholds depend on it
HEIGHT = 32  # pixels, of the line
NARROWEST = 16  # pixels
WIDEST = 4096  # pixels; some three hundred digits

_WIDEST_SHAPE = 1.01 * WIDEST / HEIGHT  # width over height; a line just above `WIDEST` is squeezed a little
_FINE = 4 * HEIGHT  # pixels, height at which light and ink are examined
_RIM = 0.1  # share of height and width at each side that does not tell how dark the ink is: frames are there
_DARKEST = 16.0  # grey levels; see `light_on_paper`
_LEAST_LIGHT = 0.1  # of the fitted light; bare paper is never darker
_FULL = 0.97  # quantile of darkness that is full ink
_FAINTEST = 0.03  # share of the paper's light; ink that is fainter is not amplified further
_WHITE = np.float32(255)
PAPER = 32  # level of bare paper, above 0 so that noise shows on both sides
_UNIFORM = 0.01  # share of the paper's light; a picture whose darkest pixel is lighter shows nothing
_SMALLEST = 6  # pixels; a smaller part shows nothing
INK = 224  # level of full ink, below 255 so that darker ink still differs


@dataclass(frozen=True)
class Crop:
    """How a closer look shows the part of a picture in which a number was found."""

    beside: float  #: margin to the left and right, in heights of the number; a digit at an end may have been missed
    above: float  #: margin above and below, in heights of the number
    clean: int  #: pixels of bare paper around the part, in place of what was beside it
    width: float  #: of digits, 1 as written


# Looks that differ make fewer errors in common. Chosen on the development pictures of cheques and ledgers: a third one
# changed nothing, and wider digits were read worse.
CROPS = (Crop(0.25, 0.1, 2, 0.85), Crop(0.12, 0.03, 2, 0.7))


@dataclass(frozen=True, eq=False)
class PreparedLine:
    """A picture as the network reads it."""

    image: Pixels  #: uint8 [32, w], ink light on dark paper; w from 16; at most 4,096 without clean paper
    scale_x: float  #: pixels of the picture per pixel of the line, from left to right
    scale_y: float  #: pixels of the picture per pixel of the line, from top to bottom
    left: float = 0.0  #: where the line begins in the picture, pixels
    top: float = 0.0  #: where the line begins in the picture, pixels
    has_ink: bool = True  #: if not, the picture is uniform
    darkness: Pixels | None = None  #: float32 [h, w], the same picture in higher resolution, for a closer look
    field: Field | None = None  #: the part of the picture to which all lengths above refer; None for all of it
    whole: PreparedLine | None = None  #: all of the picture, if this is a field
    reduction: float = 1.0  #: pixels of the original per pixel of the picture, which may be a reduced large file


def prepare(source: ImageSource, max_pixels: int = MAX_PIXELS) -> PreparedLine:
    """Prepare a picture of a number: any size, polarity, paper and light.

    Args:
        source: See `mnist_cnn.reading.ink.read_image`.
        max_pixels: See `mnist_cnn.reading.ink.read_image`.

    Raises:
        ImageError: See `mnist_cnn.reading.ink.read_image`; or it is too wide for its height.
    """
    return prepare_picture(*read_reduced(source, max_pixels))


def prepare_picture(grey: Pixels, reduction: float = 1.0) -> PreparedLine:
    """Prepare grey levels; of a number that is small, the field around it.

    Args:
        grey: uint8 [h, w].
        reduction: From `read_reduced`.

    Raises:
        ImageError: It is too wide for its height. Then it is not looked at: that would take long.
    """
    height, width = grey.shape
    if width > _WIDEST_SHAPE * height:
        raise too_wide(width / height)
    whole = replace(prepare_levels(grey), reduction=reduction)
    field = find_field(grey)
    if field is None:
        return whole
    return replace(prepare_levels(field.cut(grey), field.size), field=field, whole=whole, reduction=reduction)


def too_wide(ratio: float) -> ImageError:
    """Return the error for a picture that is this many times as wide as high."""
    return ImageError(
        f"the picture is {ratio:.0f} times as wide as high. Valid: at most {WIDEST // HEIGHT} times. Cut it into parts."
    )


def prepare_levels(grey: Pixels, size: tuple[float, float] | None = None) -> PreparedLine:
    """Prepare all of a picture.

    Args:
        grey: uint8 [h, w].
        size: Width and height in the unit of the line's place; None for pixels of `grey`.
    """
    fine = _reduced(grey)
    light = light_on_paper(fine)
    if ink_is_light(fine, light):
        fine, light = cv2.bitwise_not(fine), _WHITE - light
    darkness = even_darkness(fine, light)
    width, height = size or grey.shape[::-1]
    line = _scaled(darkness, width, height)
    scale_x, scale_y = width / line.shape[1], height / HEIGHT
    return PreparedLine(_levels(line), scale_x, scale_y, has_ink=bool(line.max() > _UNIFORM), darkness=darkness)


def look_closer(line: PreparedLine, box: tuple[float, float, float, float], crop: Crop) -> PreparedLine | None:
    """Enlarge the part of a picture in which a number was found.

    Args:
        line: From `prepare`.
        box: Left, top, right and bottom of the number, pixels of `line.image`.
        crop: How to show it.

    Returns:
        The part as a line of its own; None if it is too small to show anything.
    """
    if line.darkness is None:
        return None
    height, width = line.darkness.shape
    zoom_x, zoom_y = width / line.image.shape[1], height / HEIGHT
    left, top, right, bottom = box
    unit = (bottom - top) * zoom_y  # pixels of `darkness`
    beside, above = crop.beside * unit, crop.above * unit
    first_column, last_column = max(0, int(left * zoom_x - beside)), min(width, math.ceil(right * zoom_x + beside))
    first_row, last_row = max(0, int(top * zoom_y - above)), min(height, math.ceil(bottom * zoom_y + above))
    part = line.darkness[first_row:last_row, first_column:last_column]
    if min(part.shape) < _SMALLEST:
        return None
    to_picture = line.scale_x / zoom_x, line.scale_y / zoom_y
    rows, columns = part.shape
    levels = _levels(_scaled(part, crop.width * columns, rows, HEIGHT - 2 * crop.clean))
    scale_x, scale_y = columns / levels.shape[1] * to_picture[0], rows / levels.shape[0] * to_picture[1]
    return replace(
        line,
        image=with_paper(levels, crop.clean, crop.clean, crop.clean, crop.clean),
        scale_x=scale_x,
        scale_y=scale_y,
        left=line.left + first_column * to_picture[0] - crop.clean * scale_x,
        top=line.top + first_row * to_picture[1] - crop.clean * scale_y,
        darkness=part,
    )


def with_paper(line: Pixels, above: int = 0, below: int = 0, left: int = 0, right: int = 0) -> Pixels:
    """Add pixels of bare paper around a line, uint8 [h, w]; `np.pad` takes several times as long."""
    return cv2.copyMakeBorder(line, above, below, left, right, cv2.BORDER_CONSTANT, value=PAPER)


def _scaled(darkness: Pixels, width: float, height: float, rows: int = HEIGHT) -> Pixels:
    """Scale a picture to this many rows; its width and height are in any unit."""
    columns = min(max(round(width * rows / height), NARROWEST), WIDEST)
    return cv2.resize(darkness, (columns, rows), interpolation=_interpolation(darkness.shape[0]))


def _levels(line: Pixels) -> Pixels:
    """Stretch the contrast of a scaled picture: float32 [h, w] to uint8 [h, w]."""
    strength = max(_full_ink(line), _FAINTEST)
    levels = (line * ((INK - PAPER) / strength) + PAPER).clip(0, 255)
    return np.asarray(levels.astype(np.uint8))


def even_darkness(grey: Pixels, light: Pixels) -> Pixels:
    """Divide dark ink by the light that falls on its paper.

    Args:
        grey: uint8 [h, w], ink darker than paper.
        light: From `light_on_paper`.

    Returns:
        float32 [h, w]: 0 on bare paper, 1 where no light is reflected, a little below 0 on lighter specks.
    """
    height, width = grey.shape
    even = grey / cv2.resize(light.clip(_DARKEST, None), (width, height))
    sample = even[:: max(1, height // HEIGHT)].ravel()
    middle = len(sample) // 2
    paper = max(float(np.partition(sample, middle)[middle]), _LEAST_LIGHT)  # np.median takes many times as long
    return np.float32(1) - even / np.float32(paper)


def _reduced(grey: Pixels) -> Pixels:
    scale = _FINE / grey.shape[0]
    return cv2.resize(grey, scaled_size(grey, scale), interpolation=cv2.INTER_AREA) if scale < 1 else grey


def _interpolation(height: int) -> int:
    return cv2.INTER_AREA if height > HEIGHT else cv2.INTER_CUBIC


def _full_ink(line: Pixels) -> float:
    """Return the darkness of a full stroke, without the rim."""
    height, width = line.shape
    rows, columns = int(height * _RIM), int(width * _RIM)
    inner = np.sort(line[rows : height - rows, columns : width - columns], axis=None)
    return float(inner[int(_FULL * len(inner))])
