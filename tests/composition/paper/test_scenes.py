from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cnn.composition.paper import picture
from mnist_cnn.composition.paper.scenes import SCENES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.paper.scenes import Scene


def strokes(height: int, width: int) -> NDArray[np.float32]:
    """A bar in the left half of the field, nothing in the right half."""
    coverage = np.zeros((height, width), np.float32)
    coverage[height // 4 : -height // 4, width // 4 : width // 4 + 5] = 1
    return coverage


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(34, 100),
    width=st.integers(32, 2000),
    seed=st.integers(0, 2**32),
    digit_height=st.floats(20, 70),
)
def test_every_field_becomes_a_grey_picture_of_the_same_proportions(
    height: int, width: int, seed: int, digit_height: float
) -> None:
    shown = picture(strokes(height, width), digit_height, np.random.default_rng(seed))
    assert shown.dtype == np.uint8
    assert 26 <= shown.shape[0] <= 150
    assert shown.shape[1] == pytest.approx(shown.shape[0] * width / height, abs=1)


def test_a_generator_draws_the_same_picture_everywhere() -> None:
    first, second = (picture(strokes(64, 220), 44, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("scene", SCENES)
def test_the_ink_is_where_the_strokes_are(scene: Scene) -> None:
    coverage = strokes(64, 160)
    random = np.random.default_rng(0)
    shown = [scene(coverage, 44, random).astype(float) for _ in range(80)]
    columns = []
    for one in shown:
        middle = one[one.shape[0] // 3 : -one.shape[0] // 3].mean(axis=0)
        columns.append(np.abs(middle - np.median(middle)).argmax() / len(middle))
    assert np.median(columns) == pytest.approx(42.5 / 160, abs=0.02)
