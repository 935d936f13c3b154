"""A picture that explains readings of numbers: one row per image, with a box around each digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageOps

from mnist_cnn.reading.ink.sources import read_reduced
from mnist_cnn.reading.palette import MUTED, RIGHT, TEXT, WRONG
from mnist_cnn.reading.recognizer.explanation import draw_sheet, font

if TYPE_CHECKING:
    from mnist_cnn.reading.ink import ImageSource
    from mnist_cnn.reading.numbers.number_reading import Box, NumberReading

# All in pixels.
_PICTURE = (640, 160)  # width and height of the largest
_GAP = 16
_CAPTION = 24  # height of a line of text
_VERDICT = 250  # width
_ROW = _PICTURE[1] + 3 * _CAPTION + 2 * _GAP
_PERCENT = 34  # width of a confidence; where digits are closer, none is written


@dataclass(frozen=True, eq=False)
class ExplainedNumber:
    """One image's row."""

    name: str
    picture: Image.Image  # fits into _PICTURE
    scale: float  # pixels of it per pixel of the original
    reading: NumberReading

    @classmethod
    def of(cls, name: str, source: ImageSource, reading: NumberReading) -> ExplainedNumber:
        """Reduce or enlarge the original to what the drawing needs.

        Raises:
            ImageError: It cannot be read.
        """
        grey, reduction = read_reduced(source)
        picture = ImageOps.contain(Image.fromarray(grey), _PICTURE, Image.Resampling.BICUBIC)
        return cls(name, picture, picture.width / (grey.shape[1] * reduction), reading)


def draw(rows: Sequence[ExplainedNumber]) -> Image.Image:
    """Draw all rows, one below another.

    Args:
        rows: At least one.

    Returns:
        An RGB picture.
    """
    return draw_sheet(rows, (_PICTURE[0] + _VERDICT + 3 * _GAP, _ROW), _draw_row)


def _draw_row(sheet: Image.Image, row: ExplainedNumber, top: int) -> None:
    corner, pen = (_GAP, top + 2 * _CAPTION), ImageDraw.Draw(sheet)
    sheet.paste(row.picture, corner)
    _draw_digits(pen, row, corner)
    _draw_verdict(pen, row.reading, (_PICTURE[0] + 2 * _GAP, corner[1]))


def _draw_digits(pen: ImageDraw.ImageDraw, row: ExplainedNumber, corner: tuple[int, int]) -> None:
    """Draw each digit's box, the digit above it, and its confidence below the picture."""
    left, top = corner
    digits = row.reading.digits
    has_room = len(digits) * _PERCENT <= row.picture.width
    for digit in digits:
        x = left + row.scale * (digit.box.left + digit.box.right) / 2
        pen.rectangle(_outline(digit.box, row, corner), outline=_colour(row.reading))
        pen.text((x, top - 4), digit.text, TEXT, font(20), anchor="ms")
        if has_room:
            pen.text((x, top + row.picture.height + 4), f"{digit.confidence:.0%}", MUTED, font(12), anchor="ma")


def _outline(box: Box, row: ExplainedNumber, corner: tuple[int, int]) -> list[float]:
    """Return left, top, right and bottom of a box within the drawn picture."""
    (left, top), (width, height) = corner, row.picture.size
    return [
        left + min(max(row.scale * box.left, 0), width - 1),
        top + min(max(row.scale * box.top, 0), height - 1),
        left + min(max(row.scale * box.right, 0), width - 1),
        top + min(max(row.scale * box.bottom, 0), height - 1),
    ]


def _draw_verdict(pen: ImageDraw.ImageDraw, reading: NumberReading, corner: tuple[int, int]) -> None:
    left, top = corner
    verdict = "accepted" if reading.accepted else f"rejected: {reading.reason}"
    size = 36 if len(reading.text) <= 11 else 18
    pen.text((left, top), reading.text[:24] or "–", TEXT, font(size))
    pen.text((left, top + 48), verdict, _colour(reading), font(16))
    pen.text((left, top + 48 + _CAPTION), f"confidence {reading.confidence:.1%}", MUTED, font(13))


def _colour(reading: NumberReading) -> str:
    return RIGHT if reading.accepted else WRONG
