"""Several looks at one picture."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnist_cnn.reading.numbers.line_preparation import CROPS, HEIGHT, Crop, look_closer, prepare_levels
from mnist_cnn.reading.numbers.looks import Look, considered, judge_together
from reading.numbers.columns import doubtful


def best_of(*columns: NDArray[np.float64]) -> str:
    looks = [Look.at(each) for each in columns]
    texts = considered(looks)
    return texts[int(judge_together(looks, texts).argmax())]


def test_the_number_that_both_looks_find_possible_wins() -> None:
    assert best_of(doubtful("44", "11"), doubtful("99", "11")) == "11"


def test_one_look_decides_alone() -> None:
    assert best_of(doubtful("48", "43")) == "48"


def test_a_number_in_one_look_only_is_less_probable_but_not_impossible() -> None:
    looks = [Look.at(doubtful("48")), Look.at(doubtful("43"))]
    logs = judge_together(looks, ["48", "77"])
    assert logs[0] > logs[1] > -np.inf


def page(left: int, top: int, size: int) -> NDArray[np.uint8]:
    """Draw a dark square on white, uint8 [90, 240]."""
    grey = np.full((90, 240), 240, np.uint8)
    return np.asarray(cv2.rectangle(grey, (left, top), (left + size, top + size), 20, cv2.FILLED), np.uint8)


@given(st.integers(5, 200), st.integers(5, 50), st.integers(12, 30), st.sampled_from(CROPS))
def test_a_closer_look_knows_its_place_in_the_picture(left: int, top: int, size: int, crop: Crop) -> None:
    line = prepare_levels(page(left, top, size))
    box = (left / line.scale_x, top / line.scale_y, (left + size) / line.scale_x, (top + size) / line.scale_y)
    closer = look_closer(line, box, crop)
    assert closer is not None
    rows, columns = np.nonzero(closer.image > 128)
    assert abs(closer.left + (columns.min() + 0.5) * closer.scale_x - left) <= 1 + 2 * closer.scale_x
    assert abs(closer.top + (rows.max() + 0.5) * closer.scale_y - (top + size)) <= 1 + 2 * closer.scale_y
    assert closer.image.shape[0] == HEIGHT


def test_a_uniform_picture_has_no_ink() -> None:
    assert not prepare_levels(np.full((40, 100), 128, np.uint8)).has_ink
