"""The picture that `read --explain` draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from mnist_cnn.reading.numbers.number_explanation import ExplainedNumber, draw, typeset
from mnist_cnn.reading.numbers.number_reading import Box, NumberDigit, NumberReading
from mnist_cnn.reading.palette import MUTED, RIGHT

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TOP, BOTTOM = 56, 216  # of the picture in the first row, in pixels of the sheet


def reading_of(text: str, left: float, top: float, size: float, pitch: float) -> NumberReading:
    """A number of square digits."""
    digits = (
        NumberDigit(digit, 0.999, Box(left + place * pitch, top, left + place * pitch + size, top + size))
        for place, digit in enumerate(text)
    )
    return NumberReading(text, 0.99, tuple(digits), "" if text else "blank")


def paper_with(reading: NumberReading, width: int, height: int) -> NDArray[Any]:
    """Light paper, on which each digit is a dark square."""
    paper = np.full((height, width), 240, np.uint8)
    for digit in reading.digits:
        box = digit.box
        paper[round(box.top) : round(box.bottom), round(box.left) : round(box.right)] = 20
    return paper


def sheet_of(reading: NumberReading, width: int, height: int) -> NDArray[Any]:
    row = ExplainedNumber.of("x.png", paper_with(reading, width, height), reading)
    return np.asarray(draw([row]))


def is_colour(sheet: NDArray[Any], colour: str) -> NDArray[Any]:
    return np.asarray((sheet == ImageColor.getrgb(colour)).all(axis=2))


def labels_in(band: NDArray[Any]) -> int:
    """Count what is written in a band of the sheet, in columns that white ones separate."""
    has_ink = np.pad((band < 250).any(axis=(0, 2)), 1)
    return int((has_ink[1:] & ~has_ink[:-1]).sum())


def test_a_small_number_is_enlarged_beside_its_whole_picture() -> None:
    reading = reading_of("75014", 1400, 1900, 60, 80)
    row = ExplainedNumber.of("x.png", paper_with(reading, 3000, 4000), reading)
    assert row.overview is not None
    assert row.overview.size == (120, 160)
    sheet = np.asarray(draw([row]))
    picture = np.asarray(row.picture)
    assert (picture < 100).any(axis=1).sum() > 60  # rows of a digit, which had two pixels each way
    dark = np.argwhere((sheet[TOP:BOTTOM, 152:640] < 60).all(axis=2))
    frames = np.argwhere(is_colour(sheet, RIGHT)[TOP:BOTTOM, 152:640])
    assert dark.min(axis=0) == pytest.approx(frames.min(axis=0), abs=2)  # the boxes lie on the digits
    assert dark.max(axis=0) == pytest.approx(frames.max(axis=0), abs=2)
    assert is_colour(sheet, RIGHT)[TOP:BOTTOM, 16:136].any()  # where the number is in the whole picture
    assert labels_in(sheet[TOP - 22 : TOP, 152:640]) == 5


def test_a_large_photo_is_reduced_before_its_number_is_enlarged(tmp_path: Path) -> None:
    reading = reading_of("75014", 1400, 1900, 60, 80)
    Image.fromarray(paper_with(reading, 3000, 4000)).save(tmp_path / "x.jpg", quality=95)
    row = ExplainedNumber.of("x.jpg", tmp_path / "x.jpg", reading)
    left, top = row.corner
    assert left == pytest.approx(1370, abs=3)
    assert top == pytest.approx(1870, abs=3)
    dark = np.flatnonzero((np.asarray(row.picture) < 60).any(axis=0))
    assert dark[0] == pytest.approx(row.scale * (1400 - left), abs=3)


def test_a_number_that_fills_its_picture_is_shown_whole() -> None:
    reading = reading_of("123", 20, 20, 60, 80)
    row = ExplainedNumber.of("x.png", paper_with(reading, 300, 100), reading)
    assert row.overview is None
    assert row.picture.size == (480, 160)


@pytest.mark.parametrize(
    ("count", "pitch", "digits", "has_percents"), [(5, 100, 5, True), (40, 15, 40, False), (100, 6, 0, False)]
)
def test_labels_that_would_overlap_are_left_out(count: int, pitch: int, digits: int, has_percents: bool) -> None:
    reading = reading_of(("1234567890" * 10)[:count], 10, 5, pitch - 2, pitch)
    sheet = sheet_of(reading, 640, max(110, pitch + 10))[:, :664]
    assert is_colour(sheet, RIGHT)[TOP:BOTTOM].any()
    assert labels_in(sheet[TOP - 22 : TOP]) == digits
    assert is_colour(sheet, MUTED)[TOP:].any() == has_percents


@pytest.mark.parametrize("count", [1, 11, 12, 24, 25, 100])
def test_every_digit_of_a_long_number_is_written(count: int) -> None:
    number = ("1234567890" * 20)[:count]
    size, lines = typeset(number)
    assert "".join(lines) == number
    assert size >= 13


def test_a_number_that_is_too_long_says_so() -> None:
    _, lines = typeset("1" * 1000)
    assert lines[-1] == "… (1000 digits)"
    assert set("".join(lines[:-1])) == {"1"}


def test_no_number_is_said_in_words() -> None:
    assert typeset("")[1] == ["no number"]
    sheet_of(reading_of("", 0, 0, 1, 1), 300, 100)
