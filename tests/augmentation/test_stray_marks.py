from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.augmentation import stray_marks
from mnist_cnn.augmentation.distortion import augment
from mnist_cnn.augmentation.stray_marks import add_stray_marks
from mnist_cnn.config import AugmentationConfig
from mnist_cnn.datasets import load_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return load_dataset("digits").images[:400]


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_share_of_the_images_is_marked_and_the_others_stay(digits: NDArray[np.uint8]) -> None:
    before = digits.copy()
    marked = add_stray_marks(digits, 0.3, generator())
    assert (marked.shape, str(marked.dtype)) == (digits.shape, "uint8")
    assert 0.2 < (marked != digits).any(axis=(1, 2)).mean() < 0.35
    np.testing.assert_array_equal(digits, before, err_msg="the input must stay as it was")
    np.testing.assert_array_equal(add_stray_marks(digits, 0.0, generator()), digits)


def test_lines_add_ink_and_gaps_take_it_away_and_most_of_a_digit_stays(digits: NDArray[np.uint8]) -> None:
    random = generator()
    lines, gaps, blots = (
        np.stack([kind(digit, random) for digit in digits])
        for kind in (stray_marks.line, stray_marks.gap, stray_marks.blots)
    )
    assert (lines >= digits).all()
    assert (gaps <= digits).all()
    for marked in (lines, gaps, blots):
        changed = np.abs(marked.astype(int) - digits).mean(axis=(1, 2))
        assert 0 < np.median(changed) < 30, "grey levels per pixel, of about 45 in a digit"
        left = np.minimum(marked, digits).sum(axis=(1, 2)) / digits.sum(axis=(1, 2))
        assert np.quantile(left, 0.05) > 0.5


def test_distortions_come_with_marks_and_only_the_generator_decides(digits: NDArray[np.uint8]) -> None:
    config = AugmentationConfig(marks=0.9)
    assert config.is_active
    first, again, other = (augment(digits, config, generator(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2)).mean() > 0.9
