"""A picture that explains readings: one row per image, from the original to the network's answer."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeVar

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mnist_cnn.reading.palette import MUTED, PAPER, RIGHT, RULE, TEXT, WRONG
from mnist_cnn.reading.recognizer.verdict import Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnist_cnn.reading.recognizer.verdict import Reading

# All in pixels.
_TILE = 140
_GAP = 16
_CAPTION = 20  # height of a line of text
_VERDICT = 250  # width
_ROW = _TILE + 2 * _CAPTION + 2 * _GAP
_BAR = 110  # width of a probability of 1
_TOP = 3  # classes
_UNKNOWN = "\uffff"  # no character, and in no font


@dataclass(frozen=True, eq=False)
class Explained:
    """One image's row, with its pictures reduced."""

    name: str
    tiles: list[tuple[str, Image.Image]]  # a caption and a picture of at most _TILE pixels each way
    ranking: list[tuple[str, float]]  # the most probable classes with their probabilities
    reading: Reading

    @classmethod
    def of(
        cls, name: str, stages: Sequence[tuple[str, NDArray[np.uint8]]], reading: Reading, class_names: Sequence[str]
    ) -> Explained:
        """Reduce each stage, uint8 [h, w], to what the drawing needs."""
        best = reading.probabilities.argsort()[::-1][:_TOP]
        ranking = [(class_names[index], float(reading.probabilities[index])) for index in best]
        return cls(name, [(caption, _tile(picture)) for caption, picture in stages], ranking, reading)


def draw(rows: Sequence[Explained]) -> Image.Image:
    """Draw all rows, one below another.

    Args:
        rows: At least one.

    Returns:
        An RGB picture.
    """
    stages = max(len(row.tiles) for row in rows)
    width = _GAP + stages * (_TILE + _GAP) + _VERDICT

    def draw_row(sheet: Image.Image, row: Explained, top: int) -> None:
        _draw_tiles(sheet, row, top + _CAPTION)
        _draw_verdict(ImageDraw.Draw(sheet), row, width - _VERDICT, top + _CAPTION)

    return draw_sheet(rows, (width, _ROW), draw_row)


class Named(Protocol):
    """A row of a sheet."""

    @property
    def name(self) -> str:
        """What is written above it."""


Row = TypeVar("Row", bound=Named)


def draw_sheet(
    rows: Sequence[Row], size: tuple[int, int], draw_row: Callable[[Image.Image, Row, int], None]
) -> Image.Image:
    """Draw rows below one another, each under its name, with rules between them.

    Args:
        rows: At least one.
        size: Width of the sheet and height of a row, pixels.
        draw_row: Draws a row; it receives the sheet, the row and the top of its name.

    Returns:
        An RGB picture.
    """
    width, height = size
    sheet = Image.new("RGB", (width, height * len(rows)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, row in enumerate(rows):
        top = place * height
        if place:
            pen.line([(_GAP, top), (width - _GAP, top)], RULE)
        pen.text((_GAP, top + _GAP // 2), shortened(legible(row.name), width - 2 * _GAP), TEXT, font(14))
        draw_row(sheet, row, top + _GAP // 2)
    return sheet


def _tile(picture: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(picture)
    enlarged = max(image.size) < _TILE
    return ImageOps.contain(image, (_TILE, _TILE), Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX)


def _draw_tiles(sheet: Image.Image, row: Explained, top: int) -> None:
    pen = ImageDraw.Draw(sheet)
    for place, (caption, tile) in enumerate(row.tiles):
        left = _GAP + place * (_TILE + _GAP)
        x, y = left + (_TILE - tile.width) // 2, top + (_TILE - tile.height) // 2
        sheet.paste(tile, (x, y))
        pen.rectangle([x - 1, y - 1, x + tile.width, y + tile.height], outline=RULE)
        pen.text((left + _TILE // 2, top + _TILE + 4), caption, MUTED, font(12), anchor="ma")


def _draw_verdict(pen: ImageDraw.ImageDraw, row: Explained, left: int, top: int) -> None:
    reading = row.reading
    colour = RIGHT if reading.accepted else WRONG
    verdict = "accepted" if reading.accepted else f"rejected: {reading.reason}"
    if reading.reason not in ("", Reason.UNCERTAIN):  # there is not one thing to read: the classes mean nothing
        pen.text((left, top), "nothing read", MUTED, font(20))
        pen.text((left, top + 38), verdict, colour, font(16))
        return
    large = font(56 if len(reading.label) == 1 else 20)
    pen.text((left, top), legible(reading.label), TEXT, large)
    pen.text((left + 44 if len(reading.label) == 1 else left, top + 38), verdict, colour, font(16))
    for place, (label, probability) in enumerate(row.ranking):
        y = top + 76 + place * (_CAPTION + 2)
        pen.text((left, y), shortened(legible(label), 60), TEXT, font(13))
        start = left + (24 if len(label) == 1 else 64)
        pen.rectangle([start, y + 2, start + round(_BAR * probability), y + 14], fill=colour if place == 0 else RULE)
        pen.text((start + _BAR + 6, y), f"{probability:.1%}", MUTED, font(12))


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font, size in pixels."""
    return ImageFont.load_default(size)


def legible(text: str) -> str:
    """Replace each sign that Pillow's font cannot show by a question mark.

    It shows little more than ASCII, and an empty box for everything else.
    """
    return "".join(sign if _is_shown(sign) else "?" for sign in unicodedata.normalize("NFC", text))


@cache
def _is_shown(sign: str) -> bool:
    return sign.isprintable() and _drawn(sign) != _drawn(_UNKNOWN)


def _drawn(sign: str) -> tuple[tuple[int, int], bytes]:
    mask = font(14).getmask(sign)
    return mask.size, bytes(mask)


def shortened(text: str, width: int) -> str:
    """Cut the beginning of a long path, because its end is more informative.

    Args:
        text: The path.
        width: Pixels, at font size 14.
    """
    room = max(8, width // 8)  # letters are at most 8 pixels wide
    return text if len(text) <= room else "…" + text[-room + 1 :]
