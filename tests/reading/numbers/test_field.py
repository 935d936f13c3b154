"""Where a number is in a large picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_cnn.reading.numbers.field import Field, find_field
from mnist_cnn.reading.numbers.line_preparation import prepare_levels, prepare_picture

Pixels = NDArray[np.uint8]


def written(text: str, height: float, shape: tuple[int, int], place: tuple[float, float], tilt: float = 0.0) -> Pixels:
    """Write with a plotter's font: uint8 [h, w], 0 on paper, 255 on ink.

    Args:
        text: The digits.
        height: Pixels of a digit.
        shape: Height and width of the picture, pixels.
        place: x and y of the number's centre, shares of the picture.
        tilt: Degrees, clockwise.
    """
    thickness, size = 6, 100
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size / 22, thickness)
    stencil = np.zeros((2 * size, width + 2 * size), np.uint8)
    cv2.putText(stencil, text, (size, round(1.5 * size)), cv2.FONT_HERSHEY_SIMPLEX, size / 22, (255,), thickness)
    scale = height / size
    soft = cv2.GaussianBlur(stencil, (0, 0), max(0.3, 0.4 / scale))
    turn = scale * np.array([[math.cos(tilt := math.radians(tilt)), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    centre = np.array(place) * shape[::-1]
    move = centre - turn @ (np.array(soft.shape[::-1]) / 2)
    return np.asarray(cv2.warpAffine(soft, np.column_stack([turn, move]), shape[::-1]), np.uint8)


def on_paper(ink: Pixels, paper: int = 210, pen: int = 40) -> Pixels:
    """Put ink on paper in uneven light."""
    light = np.linspace(0.75, 1, ink.shape[1])
    return np.asarray((paper + (pen - float(paper)) * (ink / 255.0)) * light, np.uint8)


def extent(ink: Pixels) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(ink > 127)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@settings(deadline=None)
@given(
    st.sampled_from([(300, 400), (640, 480), (1000, 1600)]),
    st.floats(0.06, 0.25),
    st.floats(0.3, 0.7),
    st.floats(0.3, 0.7),
    st.booleans(),
)
def test_a_small_number_is_found(shape: tuple[int, int], share: float, x: float, y: float, light_ink: bool) -> None:
    height = max(18.0, share * min(shape))
    ink = written("482", height, shape, (x, y))
    grey = on_paper(ink, 60, 230) if light_ink else on_paper(ink)
    field = find_field(grey)
    assert field is not None
    assert field.is_single
    assert field.tilt == 0
    left, top, right, bottom = extent(ink)
    (near_x, near_y), (width, high) = field.corner, field.size
    assert near_x <= left
    assert near_y <= top
    assert near_x + width >= right
    assert near_y + high >= bottom
    assert high < 2.2 * (bottom - top)
    assert field.cut(grey).shape == (round(high), round(width))


@pytest.mark.parametrize("tilt", [-15, -8, 7, 14])
def test_a_tilted_number_is_turned_back(tilt: float) -> None:
    grey = on_paper(written("48213", 60, (900, 1200), (0.4, 0.6), tilt))
    field = find_field(grey)
    assert field is not None
    assert math.degrees(field.tilt) == pytest.approx(tilt, abs=3)
    level = prepare_levels(field.cut(grey)).image > 128
    assert np.count_nonzero(level.any(axis=1)) < 32 * 0.75
    assert np.count_nonzero(level.any(axis=1)) > 32 * 0.4


def test_the_field_knows_its_place_in_the_picture() -> None:
    grey = np.full((500, 700), 255, np.uint8)
    field = Field((200.0, 100.0), (300.0, 150.0), math.radians(12))
    marks = np.array([[40.0, 30.0], [250.0, 110.0], [10.0, 140.0]])
    for x, y in field.to_picture(marks):
        cv2.circle(grey, (round(x), round(y)), 4, (0,), cv2.FILLED)
    cut = field.cut(grey)
    assert cut.shape == (150, 300)
    for x, y in marks:
        rows, columns = np.nonzero(cut[round(y) - 9 : round(y) + 9, round(x) - 9 : round(x) + 9] < 128)
        assert columns.mean() == pytest.approx(9, abs=1)
        assert rows.mean() == pytest.approx(9, abs=1)


def test_two_lines_are_not_one_number() -> None:
    ink = written("482", 50, (600, 800), (0.5, 0.4)) | written("7135", 50, (600, 800), (0.5, 0.6))
    field = find_field(on_paper(ink))
    assert field is not None
    assert not field.is_single


def test_lines_dust_and_a_desk_are_passed_over() -> None:
    ink = written("482", 40, (600, 800), (0.5, 0.6))
    left, top, _, bottom = extent(ink)
    grey = on_paper(ink)
    cv2.line(grey, (0, 200), (799, 215), (90,), 2)
    cv2.rectangle(grey, (left - 60, top - 60), (left + 300, bottom + 60), (60,), 3)
    grey[::97, ::83] = 50
    grey[:90] = 40
    field = find_field(grey)
    assert field is not None
    assert field.is_single
    assert abs(field.corner[1] - top) < 25
    assert field.size[1] < 80


@pytest.mark.parametrize(
    "grey",
    [
        np.full((400, 500), 200, np.uint8),
        on_paper(written("48", 250, (400, 500), (0.5, 0.5))),
        on_paper(written("482", 20, (100, 500), (0.5, 0.5))),
        np.zeros((1, 1), np.uint8),
        np.zeros((5000, 1), np.uint8),
    ],
    ids=["uniform", "large", "low", "pixel", "column"],
)
def test_other_pictures_are_left_whole(grey: Pixels) -> None:
    assert find_field(grey) is None
    assert prepare_picture(grey).field is None


def test_noise_is_prepared() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000), np.uint8)
    assert prepare_picture(noise).image.shape[0] == 32
