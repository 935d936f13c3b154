from __future__ import annotations

import numpy as np

from mnist_cnn.composition.paper.patterns import pattern


def test_patterns_are_darkness_between_paper_and_print() -> None:
    random = np.random.default_rng(5)
    for _ in range(12):
        darkness = pattern((50, 150), random)
        assert darkness.dtype == np.float32
        assert darkness.shape == (50, 150)
        assert darkness.min() >= 0
        assert darkness.max() <= 1
        assert darkness.std() > 0.02  # something is printed


def test_a_field_larger_than_the_bank_is_covered() -> None:
    assert pattern((400, 2000), np.random.default_rng(0)).shape == (400, 2000)
