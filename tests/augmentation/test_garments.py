from __future__ import annotations

import numpy as np

from mnist_cnn.augmentation.garments import draw_garment


def test_garments_are_large_filled_and_varied() -> None:
    random = np.random.default_rng(0)
    drawn = np.stack([draw_garment(random) for _ in range(200)])
    assert (drawn.shape, str(drawn.dtype)) == ((200, 28, 28), "uint8")
    assert len({each.tobytes() for each in drawn}) == 200
    heights = np.array([np.ptp(np.flatnonzero(each.any(axis=1))) + 1 for each in drawn])
    assert (heights >= 8).all()
    assert np.median(heights) > 22
    assert 0.15 < np.median((drawn > 0).mean(axis=(1, 2))) < 0.7  # strokes cover less, a full picture more


def test_only_the_generator_decides() -> None:
    first, again, other = (draw_garment(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
