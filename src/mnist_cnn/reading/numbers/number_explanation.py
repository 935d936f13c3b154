"""A picture that explains readings of numbers: one row per image, with a box around each digit."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageOps

from mnist_cnn.reading.ink.sources import read_reduced
from mnist_cnn.reading.palette import MUTED, RIGHT, TEXT, WRONG
from mnist_cnn.reading.recognizer.explanation import draw_sheet, font

if TYPE_CHECKING:
    from mnist_cnn.reading.ink import ImageSource
    from mnist_cnn.reading.numbers.number_reading import NumberReading

Edges = tuple[float, float, float, float]  # left, top, right and bottom

# All in pixels, unless it says otherwise.
_PICTURE = (640, 160)  # width and height of the largest
_GAP = 16
_CAPTION = 24  # height of a line of text
_VERDICT = 250  # width
_ROW = _PICTURE[1] + 3 * _CAPTION + 2 * _GAP
_OVERVIEW = 120  # width of the largest picture that shows where the enlarged part is
_LEAST_GAIN = 2.0  # times: a number that would be enlarged less is shown in the whole picture
_SURROUNDINGS = 0.5  # on each side of an enlarged number, as a share of its height
_SMALLEST_FRAME = 4  # of the enlarged part, each way in the overview
_DIGIT_SIZES, _PERCENT_SIZES = (20, 14, 10), (12, 10)  # of fonts, the best one first
_BETWEEN = 3  # two labels
_TEXT_SIZES = ((36, 1), (18, 2), (13, 4))  # size of the font and number of lines of a number, the best one first


@dataclass(frozen=True, eq=False)
class ExplainedNumber:
    """One image's row."""

    name: str
    picture: Image.Image  # all of the original, or the part with the number
    corner: tuple[float, float]  # left and top of that part, in pixels of the original
    scale: float  # pixels of the picture per pixel of the original
    overview: Image.Image | None  # all of the original, if the picture is a part of it
    reading: NumberReading

    @classmethod
    def of(cls, name: str, source: ImageSource, reading: NumberReading) -> ExplainedNumber:
        """Reduce or enlarge the original, or the part of it with a small number, to what the drawing needs.

        Raises:
            ImageError: It cannot be read.
        """
        grey, reduction = read_reduced(source)
        image = Image.fromarray(grey)
        part = _part_with_number(reading, reduction, image.size)
        if part is None:
            picture = ImageOps.contain(image, _PICTURE, Image.Resampling.BICUBIC)
            return cls(name, picture, (0, 0), picture.width / (image.width * reduction), None, reading)
        left, top, right, _ = part
        picture = ImageOps.contain(image.crop(part), _room_beside_overview(), Image.Resampling.BICUBIC)
        scale = picture.width / ((right - left) * reduction)
        overview = _overview(image, part, _colour(reading))
        return cls(name, picture, (left * reduction, top * reduction), scale, overview, reading)


def _part_with_number(
    reading: NumberReading, reduction: float, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Return the edges of a number with its surroundings, in whole pixels; None if it is large enough, or missing."""
    boxes = [digit.box for digit in reading.digits]
    if not boxes:
        return None
    left, right = min(box.left for box in boxes) / reduction, max(box.right for box in boxes) / reduction
    top, bottom = min(box.top for box in boxes) / reduction, max(box.bottom for box in boxes) / reduction
    margin = _SURROUNDINGS * (bottom - top)
    part = (
        max(0, math.floor(left - margin)),
        max(0, math.floor(top - margin)),
        min(size[0], math.ceil(right + margin)),
        min(size[1], math.ceil(bottom + margin)),
    )
    enlarged = _enlargement((part[2] - part[0], part[3] - part[1]), _room_beside_overview())
    return part if enlarged >= _LEAST_GAIN * _enlargement(size, _PICTURE) else None


def _enlargement(size: tuple[int, int], room: tuple[int, int]) -> float:
    return min(room[0] / size[0], room[1] / size[1])


def _room_beside_overview() -> tuple[int, int]:
    return _PICTURE[0] - _OVERVIEW - _GAP, _PICTURE[1]


def _overview(image: Image.Image, part: Edges, colour: str) -> Image.Image:
    """Return all of an image, reduced, with a frame around the part that is enlarged."""
    small = ImageOps.contain(image, (_OVERVIEW, _PICTURE[1]), Image.Resampling.BOX).convert("RGB")
    scale = small.width / image.width
    left, top, right, bottom = (scale * edge for edge in part)
    right, bottom = max(right, left + _SMALLEST_FRAME), max(bottom, top + _SMALLEST_FRAME)
    ImageDraw.Draw(small).rectangle([left, top, right, bottom], outline=colour)
    return small


def draw(rows: Sequence[ExplainedNumber]) -> Image.Image:
    """Draw all rows, one below another.

    Args:
        rows: At least one.

    Returns:
        An RGB picture.
    """
    return draw_sheet(rows, (_PICTURE[0] + _VERDICT + 3 * _GAP, _ROW), _draw_row)


def _draw_row(sheet: Image.Image, row: ExplainedNumber, top: int) -> None:
    left, top = _GAP, top + 2 * _CAPTION
    pen = ImageDraw.Draw(sheet)
    if row.overview:
        sheet.paste(row.overview, (left, top))
        left += _OVERVIEW + _GAP
    sheet.paste(row.picture, (left, top))
    _draw_digits(pen, row, (left, top))
    _draw_verdict(pen, row.reading, (_PICTURE[0] + 2 * _GAP, top))


def _draw_digits(pen: ImageDraw.ImageDraw, row: ExplainedNumber, corner: tuple[int, int]) -> None:
    """Draw each digit's box, the digit above the picture, and its confidence below it."""
    outlines = [_outline(row, place, corner) for place in range(len(row.reading.digits))]
    for outline in outlines:
        pen.rectangle(outline, outline=_colour(row.reading))
    centres = [(left + right) / 2 for left, _, right, _ in outlines]
    digits = [digit.text for digit in row.reading.digits]
    percents = [f"{digit.confidence:.0%}" for digit in row.reading.digits]
    below = corner[1] + row.picture.height + 4
    _label(pen, digits, centres, (corner[1] - 4, "ms"), (TEXT, _DIGIT_SIZES))
    _label(pen, percents, centres, (below, "ma"), (MUTED, _PERCENT_SIZES))


def _label(
    pen: ImageDraw.ImageDraw,
    labels: Sequence[str],
    centres: Sequence[float],
    place: tuple[int, str],
    look: tuple[str, tuple[int, ...]],
) -> None:
    """Write labels in a row, in the largest size in which none overlaps another; without such a size, write none.

    Args:
        pen: On the sheet.
        labels: One for each digit.
        centres: From left to right, or from right to left.
        place: Height on the sheet, and what lies there, as Pillow's anchors have it.
        look: Colour, and sizes of the font.
    """
    (y, anchor), (colour, sizes) = place, look
    for size in sizes:
        half = [font(size).getlength(label) / 2 for label in labels]
        spans = zip(pairwise(centres), pairwise(half), strict=True)
        if all(abs(b - a) >= half_a + half_b + _BETWEEN for (a, b), (half_a, half_b) in spans):
            for label, x in zip(labels, centres, strict=True):
                pen.text((x, y), label, colour, font(size), anchor=anchor)
            return


def _outline(row: ExplainedNumber, place: int, corner: tuple[int, int]) -> Edges:
    """Return the edges of a digit's box on the sheet, within the picture."""
    box, (width, height) = row.reading.digits[place].box, row.picture.size
    left, right = (min(max(row.scale * (x - row.corner[0]), 0), width - 1) for x in (box.left, box.right))
    top, bottom = (min(max(row.scale * (y - row.corner[1]), 0), height - 1) for y in (box.top, box.bottom))
    return corner[0] + left, corner[1] + top, corner[0] + right, corner[1] + bottom


def _draw_verdict(pen: ImageDraw.ImageDraw, reading: NumberReading, corner: tuple[int, int]) -> None:
    left, top = corner
    size, lines = typeset(reading.text)
    for line in lines:
        pen.text((left, top), line, TEXT if reading.text else MUTED, font(size))
        top += round(1.3 * size)
    verdict = "accepted" if reading.accepted else f"rejected: {reading.reason}"
    pen.text((left, top + 4), verdict, _colour(reading), font(16))
    pen.text((left, top + 4 + _CAPTION), f"confidence {reading.confidence:.1%}", MUTED, font(13))


def typeset(number: str) -> tuple[int, list[str]]:
    """Return the lines of a number and the size of their font, in pixels.

    A number of several hundred digits is cut; then the last line says how many there are.
    """
    if not number:
        return 24, ["no number"]
    for size, most in _TEXT_SIZES:
        in_line = int(_VERDICT / max(font(size).getlength(digit) for digit in "0123456789"))
        lines = textwrap.wrap(number, in_line)
        if len(lines) <= most:
            return size, lines
    return size, [*lines[: most - 1], f"… ({len(number)} digits)"]


def _colour(reading: NumberReading) -> str:
    return RIGHT if reading.accepted else WRONG
