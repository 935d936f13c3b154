from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cnn.composition.single_digits import DigitComposer, any_pen, compose_clutter, tight_crop, with_lines
from mnist_cnn.datasets import load_dataset
from mnist_cnn.reading.recognizer import Recognizer

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def composer() -> DigitComposer:
    digits = load_dataset("digits").subset(np.arange(200))
    return DigitComposer.of(digits.images, digits.labels)


def test_only_the_generator_decides(composer: DigitComposer) -> None:
    first, again, other = (composer.picture(4, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_composed_digit_is_in_the_networks_form(composer: DigitComposer) -> None:
    random = np.random.default_rng(0)
    composed = [composer.compose(index % 10, random) for index in range(40)]
    found = [picture for picture in composed if picture is not None]
    assert len(found) > 30
    assert {(each.shape, each.dtype) for each in found} == {((28, 28), np.dtype(np.uint8))}
    assert all(each.any() for each in found)


def test_most_composed_digits_are_read_as_what_they_are(composer: DigitComposer) -> None:
    random = np.random.default_rng(1)
    composed = [(composer.compose(index % 10, random), index % 10) for index in range(120)]
    pictures, digits = zip(*((picture, digit) for picture, digit in composed if picture is not None), strict=True)
    # Even a network that was trained on MNIST alone reads three in four.
    assert (Recognizer.load().predict(np.stack(pictures)) == np.array(digits)).mean() > 0.7


def test_a_composed_digit_that_is_not_found_is_left_out(composer: DigitComposer) -> None:
    blank = np.zeros((40, 40), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DigitComposer, "picture", lambda *_: (blank, np.full((28, 28), 255, np.uint8)))
        assert composer.compose(3, np.random.default_rng(0)) is None


def test_a_traced_digit_comes_from_the_real_ones_of_its_class(composer: DigitComposer) -> None:
    random = np.random.default_rng(3)
    ones, eights = (np.concatenate(composer.trace(digit, random)) for digit in (1, 8))
    assert np.ptp(ones[:, 1]) == pytest.approx(1, abs=0.01)
    assert len(eights) > len(ones)  # two loops are longer than a line


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(12, 60), width=st.integers(2, 60))
def test_a_tight_crop_is_small_black_and_white_and_not_empty(seed: int, height: int, width: int) -> None:
    coverage = np.zeros((100, 100), np.float32)
    coverage[20 : 20 + height, 30 : 30 + width] = 1
    crop = tight_crop(coverage, np.random.default_rng(seed))
    assert crop.dtype == np.uint8
    assert set(np.unique(crop)) <= {0, 255}
    assert 10 <= max(crop.shape) <= 28 * 6


def test_a_tight_crop_fills_its_square() -> None:
    slim: NDArray[np.float32] = np.zeros((100, 100), np.float32)
    slim[10:90, 40:52] = 1
    crops = [tight_crop(slim, np.random.default_rng(seed)) for seed in range(60)]
    squares = [crop for crop in crops if crop.shape == (16, 16)]
    assert len(squares) > 20
    assert sum(len(np.unique(crop)) == 1 for crop in squares) > 10  # stretched: ink from side to side


def test_markers_are_thicker_than_other_pens() -> None:
    random = np.random.default_rng(0)
    widths = np.array([any_pen(random).width for _ in range(300)])
    assert 0.02 < widths.min() < 0.06
    assert 0.2 < widths.max() < 0.27


def test_clutter_is_a_picture_mostly_with_ink() -> None:
    random = np.random.default_rng(5)
    pictures = [compose_clutter(random) for _ in range(30)]
    assert {(picture.ndim, str(picture.dtype)) for picture in pictures} == {(2, "uint8")}
    assert sum(np.ptp(picture) > 40 for picture in pictures) > 15


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_lines_are_added_and_nothing_is_removed(seed: int) -> None:
    coverage = np.zeros((80, 70), np.float32)
    coverage[20:60, 30:40] = 0.8
    ruled = with_lines(coverage, np.random.default_rng(seed))
    assert ruled.shape == coverage.shape
    assert (ruled >= coverage).all()
    assert ruled.max() <= 1
    inked = ruled > coverage
    assert max(inked.sum(axis=1).max() / 70, inked.sum(axis=0).max() / 80) > 0.4  # from side to side
