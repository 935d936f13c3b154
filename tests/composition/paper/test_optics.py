from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.composition.paper import optics


def edge() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """A dark left half and a light right half: float32 [30, 60]."""
    return np.where(np.arange(60) < 30, 0.2, 0.8).astype(np.float32) * np.ones((30, 1), np.float32)


def test_blur_keeps_the_light_and_softens_the_edge() -> None:
    blurred = optics.blur(edge(), 2)
    assert blurred.mean() == pytest.approx(edge().mean(), abs=1e-3)
    assert np.abs(np.diff(blurred[15])).max() < 0.2


def test_motion_keeps_the_light() -> None:
    for seed in range(20):
        moved = optics.motion(edge(), 5, np.random.default_rng(seed))
        assert moved.mean() == pytest.approx(edge().mean(), abs=0.02)


def test_sharpening_leaves_halos_on_both_sides_of_an_edge() -> None:
    sharp = optics.sharpen(edge(), 1, 1.5)
    assert sharp.min() < 0.15
    assert sharp.max() > 0.85


def test_levels_are_rounded_and_clipped() -> None:
    levels = optics.levels(np.array([[-0.5, 0.0, 0.5, 1.0, 1.5]], np.float32))
    np.testing.assert_array_equal(levels, [[0, 0, 128, 255, 255]])


def test_jpeg_of_a_high_quality_hardly_changes_a_picture() -> None:
    grey = optics.levels(edge())
    assert np.abs(optics.jpeg(grey, 98).astype(int) - grey).max() <= 8
    assert np.abs(optics.jpeg(grey, 20).astype(int) - grey).max() > 8


def test_a_binarised_picture_has_two_levels() -> None:
    noisy = optics.levels(optics.noise(edge(), 0.02, 0, np.random.default_rng(0)))
    assert set(np.unique(optics.binarise(noisy, np.random.default_rng(0)))) == {0, 255}


@pytest.mark.parametrize("strength", [0.0, 0.05])
def test_uneven_light_and_creases_are_factors_around_one(strength: float) -> None:
    random = np.random.default_rng(0)
    for light in (optics.uneven_light((34, 60), strength, random), optics.creases((34, 60), strength, random)):
        assert light.shape == (34, 60)
        assert light.dtype == np.float32
        assert np.abs(light - 1).max() <= 8 * strength
        assert strength == 0 or light.std() > 0
