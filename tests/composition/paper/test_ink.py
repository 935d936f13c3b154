from __future__ import annotations

import numpy as np

from mnist_cnn.composition.paper.ink import deposit, ghost, intruders


def strokes() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    coverage = np.zeros((40, 120), np.float32)
    coverage[10:30, 20:24] = 1
    return coverage


def test_ink_lies_only_on_strokes() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        amount = deposit(strokes(), random)
        assert amount.dtype == np.float32
        assert 0 <= amount.min() <= amount.max() <= 1
        assert not amount[strokes() == 0].any()
        assert amount[strokes() == 1].mean() > 0.4


def test_ghosts_and_intruders_are_amounts_of_ink() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        for amount in (ghost(strokes(), random), intruders(strokes(), random)):
            assert amount.shape == (40, 120)
            assert amount.dtype == np.float32
            assert 0 <= amount.min() <= amount.max() <= 1.001


def test_an_empty_field_has_no_ghosts_and_can_have_neighbours() -> None:
    random = np.random.default_rng(0)
    empty = np.zeros((40, 120), np.float32)
    assert not ghost(empty, random).any()
    assert np.isfinite([intruders(empty, random).sum() for _ in range(20)]).all()


def test_neighbouring_writing_stays_near_the_border() -> None:
    random = np.random.default_rng(0)
    mean = np.mean([intruders(strokes(), random) for _ in range(300)], axis=0)
    assert mean[12:28, 12:108].mean() < 0.3 * np.concatenate([mean[:3], mean[-3:]]).mean()
