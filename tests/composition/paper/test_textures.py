from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cnn.composition.paper.textures import clouds, grain, window


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 90), seed=st.integers(0, 99))
def test_a_window_has_its_shape_and_shows_only_the_tile(height: int, width: int, seed: int) -> None:
    tile = np.arange(20 * 30, dtype=np.float32).reshape(20, 30)
    cut = window(tile, (height, width), np.random.default_rng(seed))
    assert cut.shape == (height, width)
    assert np.isin(cut, tile).all()


@pytest.mark.parametrize("size", [0.0, 1.0, 2.0])
def test_grain_has_unit_variance_and_the_size_asked_for(size: float) -> None:
    noise = grain((300, 900), size, np.random.default_rng(3))
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert noise.std() == pytest.approx(1, abs=0.05)
    likeness = np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]  # of neighbours
    expected = np.exp(-1 / (4 * size**2)) if size else 0  # white noise after a Gaussian
    assert likeness == pytest.approx(expected, abs=0.08)


def test_clouds_are_smooth() -> None:
    smooth = clouds((50, 150), 3, np.random.default_rng(0))
    assert smooth.shape == (50, 150)
    assert np.abs(np.diff(smooth, axis=1)).max() < 0.3 * np.ptp(smooth)
