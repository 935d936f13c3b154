from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.composition import writing
from mnist_cnn.composition.hands import Hand
from mnist_cnn.composition.marks import word
from mnist_cnn.composition.writing import WritingStyle, compose_line, compose_other

if TYPE_CHECKING:
    from mnist_cnn.composition.writing import Frame, WrittenLine

FRAMES = (writing.tight, writing.cell, writing.loose)
texts = st.text("0123456789", min_size=1, max_size=8)


def written(text: str, seed: int, frame: Frame = writing.loose, *, clean: bool = True) -> WrittenLine:
    random = np.random.default_rng(seed)
    return compose_line(text, Hand.random(random).write, frame, random, clean=clean)


@given(text=texts, seed=st.integers(0, 2**32))
def test_each_digit_has_a_box_with_its_ink_and_all_ink_is_in_boxes(text: str, seed: int) -> None:
    line = written(text, seed)
    assert line.text == text
    assert line.boxes.shape == (len(text), 4)
    height, width = line.coverage.shape
    assert line.coverage.dtype == np.float32
    assert (line.boxes[:, :2] < line.boxes[:, 2:]).all()
    assert (line.boxes[:, 2:] > 0).all()
    assert (line.boxes[:, :2] < (width, height)).all()
    elsewhere = line.coverage.copy()
    for left, top, right, bottom in line.boxes:
        place = np.s_[max(0, int(top) - 2) : int(bottom) + 3, max(0, int(left) - 2) : int(right) + 3]
        assert line.coverage[place].max() > 0.5
        elsewhere[place] = 0
    assert elsewhere.sum() <= 0.15 * line.coverage.sum() + 1  # joints, and what pressure adds


@given(text=texts, seed=st.integers(0, 2**32))
def test_digits_stand_from_left_to_right(text: str, seed: int) -> None:
    boxes = written(text, seed).boxes
    assert (np.diff((boxes[:, 0] + boxes[:, 2]) / 2) > 0).all()


@pytest.mark.parametrize("frame", FRAMES)
def test_a_number_has_no_text_only_if_it_is_crossed_out(frame: Frame) -> None:
    lines = [written("4711", seed, frame, clean=False) for seed in range(120)]
    crossed = [line for line in lines if not line.text]
    assert 1 <= len(crossed) <= 15
    assert all(line.text in ("", "4711") for line in lines)
    assert all(len(line.boxes) == len(line.text) for line in lines)
    assert all(line.coverage.max() > 0.5 for line in lines)


def test_only_the_generator_decides() -> None:
    first, again, other = (written("2023", seed, clean=False) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.coverage, again.coverage)
    np.testing.assert_array_equal(first.boxes, again.boxes)
    assert first.coverage.shape != other.coverage.shape or not np.array_equal(first.coverage, other.coverage)


def test_what_is_no_number_has_neither_text_nor_boxes() -> None:
    random = np.random.default_rng(0)
    line = compose_other(word(random), writing.tight, random)
    assert line.text == ""
    assert line.boxes.shape == (0, 4)
    assert line.coverage.max() == 1


@pytest.mark.parametrize("frame", FRAMES)
@given(width=st.floats(0.3, 8), height=st.floats(0.5, 1.5), seed=st.integers(0, 2**32))
def test_a_frame_holds_nearly_all_of_the_ink(frame: Frame, width: float, height: float, seed: int) -> None:
    low, high = np.zeros(2), np.array([width, height])
    left_top, right_bottom = frame(low, high, np.random.default_rng(seed))
    assert (
        left_top <= (0.15 + 0.05 * width, max(0.15, 0.25 * height))
    ).all()  # a line of the cell may cross the digits
    assert (right_bottom >= high - 0.15 - 0.05 * width).all()
    assert (right_bottom - left_top > 0).all()


@given(seed=st.integers(0, 2**32))
def test_styles_stay_within_what_people_write(seed: int) -> None:
    style = WritingStyle.random(np.random.default_rng(seed))
    assert -0.1 <= style.gap <= 1
    assert -0.35 <= style.slant <= 0.75
    assert 0.45 <= style.zero_size <= 1
    assert 0 <= style.joined <= 0.9
