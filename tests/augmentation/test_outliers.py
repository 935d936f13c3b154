from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.augmentation.outliers import draw_outliers, pair, shuffled
from mnist_cnn.datasets import load_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return load_dataset("digits").images[:200]


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_outliers_are_varied_and_leave_the_digits_as_they_are(digits: NDArray[np.uint8]) -> None:
    before = digits.copy()
    drawn = draw_outliers(200, digits, random())
    assert (drawn.shape, str(drawn.dtype)) == ((200, 28, 28), "uint8")
    assert len({each.tobytes() for each in drawn}) >= 180  # noise may be too faint to see
    np.testing.assert_array_equal(before, digits)
    assert draw_outliers(0, digits, random()).shape == (0, 28, 28)


def test_only_the_generator_decides(digits: NDArray[np.uint8]) -> None:
    first, again, other = (draw_outliers(30, digits, random(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shuffled_moves_every_quarter() -> None:
    numbered = np.zeros((1, 28, 28), np.uint8)
    numbered[0, 14:, :14], numbered[0, :14, 14:], numbered[0, 14:, 14:] = 1, 2, 3
    for seed in range(10):
        moved = shuffled(numbered, random(seed))
        corners = [int(moved[y, x]) for y in (0, 27) for x in (0, 27)]
        assert sorted(corners) == [0, 1, 2, 3]
        assert all(found != place for found, place in zip(corners, (0, 2, 1, 3), strict=True))


def test_a_pair_contains_two_pieces_within_the_usual_margin() -> None:
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[0, 5:23, 12:16] = 255
    drawn = pair(bar, random(0))
    columns = np.flatnonzero(drawn.any(axis=0))
    rows = np.flatnonzero(drawn.any(axis=1))
    assert max(np.ptp(columns), np.ptp(rows)) + 1 <= 23
    assert (np.diff(columns) > 1).any() or (np.diff(rows) > 1).any()
