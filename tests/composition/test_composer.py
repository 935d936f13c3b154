from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.composition.composer import Composer, draw_text
from mnist_cnn.composition.hands import Hand

if TYPE_CHECKING:
    from mnist_cnn.composition.composer import ComposedLine
    from mnist_cnn.composition.hands import Stroke


@pytest.fixture(scope="module")
def composer() -> Composer:
    random = np.random.default_rng(0)
    return Composer([[Hand.random(random).write(digit, random) for _ in range(5)] for digit in range(10)])


@pytest.fixture(scope="module")
def lines(composer: Composer) -> list[ComposedLine]:
    random = np.random.default_rng(1)
    return [composer.compose(random) for _ in range(150)]


def test_lines_have_the_form_that_the_network_reads(lines: list[ComposedLine]) -> None:
    for line in lines:
        assert line.image.dtype == np.uint8
        assert line.image.shape[0] == 32
        assert line.image.shape[1] >= 16
        assert line.boxes.shape == (len(line.text), 4)
        assert set(line.text) <= set("0123456789")


def test_the_ink_is_in_the_boxes(lines: list[ComposedLine]) -> None:
    """On average over all papers and lights: ink is lighter than the paper around it."""
    inside, outside = [], []
    for line in lines:
        mask = np.zeros(line.image.shape, bool)
        for left, top, right, bottom in np.maximum(np.rint(line.boxes), 0).astype(int):
            mask[top:bottom, left:right] = True
        if mask.any() and not mask.all():
            inside.append(line.image[mask].mean())
            outside.append(line.image[~mask].mean())
    assert np.mean(np.array(inside) > outside) > 0.9


def test_a_few_pictures_show_no_number(lines: list[ComposedLine]) -> None:
    empty = np.mean([not line.text for line in lines])
    assert 0.04 < empty < 0.2


def test_some_numbers_are_pasted_together_from_pictures_and_most_of_those_stay_clean(composer: Composer) -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 8:18] = 123
    pasting, random = Composer(composer.traced, [picture[np.newaxis]] * 10), np.random.default_rng(2)
    clean = [(pasting.compose_picture(random)[0] == 123).mean() > 0.1 for _ in range(200)]
    assert np.mean(clean) == pytest.approx(0.14, abs=0.07)


def test_only_the_generator_decides(composer: Composer) -> None:
    first, again, other = (composer.compose(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first.text == again.text
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.boxes, again.boxes)
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


def test_writers_use_hands_traces_and_both() -> None:
    marked: list[Stroke] = [np.array([[0, 0], [0.123, 1]], np.float32)]
    composer, random = Composer([[marked]] * 10), np.random.default_rng(0)
    kinds = []
    for _ in range(300):
        write = composer.writer(random)
        kinds.append(np.mean([write(digit, random) is marked for digit in range(10)]))
    shares = np.array(kinds)
    assert np.mean(shares == 1) == pytest.approx(0.35, abs=0.08)
    assert np.mean(shares == 0) == pytest.approx(0.55, abs=0.08)


@given(seed=st.integers(0, 2**32), in_cell=st.booleans())
def test_a_text_has_one_to_ten_digits(seed: int, in_cell: bool) -> None:
    text = draw_text(np.random.default_rng(seed), in_cell=in_cell)
    assert text.isdigit()
    assert 1 <= len(text) <= 10
