from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.augmentation.outliers import _KINDS, draw_outliers, pair, shuffled
from mnist_cnn.datasets import load_dataset

DIGITS = load_dataset("digits").images[:200]


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("count", [0, 1, 50])
def test_as_many_as_asked_for(count: int) -> None:
    drawn = draw_outliers(count, DIGITS, random())
    assert drawn.shape == (count, 28, 28)
    assert drawn.dtype == np.uint8


def test_a_seed_draws_the_same_again_and_another_seed_does_not() -> None:
    first, again, other = (draw_outliers(30, DIGITS, random(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_shows_something_and_never_the_same(kind) -> None:  # type: ignore[no-untyped-def]
    generator = random()
    drawn = [kind(DIGITS, generator) for _ in range(20)]
    assert all(each.shape == (28, 28) and each.dtype == np.uint8 for each in drawn)
    assert sum(each.any() for each in drawn) >= 15  # noise may be too faint to see, and a cut may miss the ink
    assert len({each.tobytes() for each in drawn}) >= 15


def test_the_digits_that_are_cut_up_stay_whole_themselves() -> None:
    before = DIGITS.copy()
    draw_outliers(100, DIGITS, random())
    np.testing.assert_array_equal(before, DIGITS)


def test_shuffled_moves_every_quarter() -> None:
    numbered = np.zeros((1, 28, 28), np.uint8)
    numbered[0, 14:, :14], numbered[0, :14, 14:], numbered[0, 14:, 14:] = 1, 2, 3
    for seed in range(10):
        moved = shuffled(numbered, random(seed))
        corners = [int(moved[y, x]) for y in (0, 27) for x in (0, 27)]
        assert sorted(corners) == [0, 1, 2, 3]
        assert all(found != place for found, place in zip(corners, (0, 2, 1, 3), strict=True))


def test_a_pair_holds_two_pieces_within_the_usual_margin() -> None:
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[0, 5:23, 12:16] = 255
    drawn = pair(bar, random(0))
    columns = np.flatnonzero(drawn.any(axis=0))
    rows = np.flatnonzero(drawn.any(axis=1))
    assert max(np.ptp(columns), np.ptp(rows)) + 1 <= 23
    assert (np.diff(columns) > 1).any() or (np.diff(rows) > 1).any()
