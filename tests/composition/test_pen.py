from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.composition.pen import Pen

DIAGONAL = [np.array([[20, 20], [80, 80]], np.float32)]


@given(seed=st.integers(0, 2**32))
def test_any_pen_covers_a_line_and_nothing_far_from_it(seed: int) -> None:
    pen = Pen.random(np.random.default_rng(seed))
    covered = pen.draw(DIAGONAL, (100, 100), 60)
    assert covered.dtype == np.float32
    assert covered.shape == (100, 100)
    assert covered.min() >= 0
    assert covered.max() <= 1
    y, x = np.mgrid[:100, :100]
    reach = 60 * pen.width * (1 + pen.pressure) / 2 + 3
    assert covered[np.abs(x - y) / np.sqrt(2) > reach].max() == 0
    assert covered[30:70, 30:70].diagonal().min() > 0.2


def test_a_wider_pen_leaves_more_ink() -> None:
    ink = [Pen(width).draw(DIAGONAL, (100, 100), 60).sum() for width in (0.03, 0.08, 0.17)]
    assert ink[0] < ink[1] < ink[2]
    area = 0.08 * 60 * 60 * np.sqrt(2)  # OpenCV's smooth edges add a pixel on each side
    assert area < ink[1] < 1.7 * area


def test_pressure_widens_only_downward_strokes() -> None:
    light, hard = Pen(0.08), Pen(0.08, 0.6)
    down, across = ([np.array(ends, np.float32)] for ends in ([[50, 20], [50, 80]], [[20, 50], [80, 50]]))
    assert hard.draw(down, (100, 100), 60).sum() > 1.3 * light.draw(down, (100, 100), 60).sum()
    np.testing.assert_array_equal(hard.draw(across, (100, 100), 60), light.draw(across, (100, 100), 60))


def test_leaving_out_points_changes_nothing_that_can_be_seen() -> None:
    """A circle of many points, and one of a point per pixel."""
    angle = np.linspace(0, 2 * np.pi, 2000)
    circle = np.stack([50 + 30 * np.cos(angle), 50 + 30 * np.sin(angle)], axis=1).astype(np.float32)
    fine, coarse = (Pen(0.08).draw([line], (100, 100), 60) for line in (circle, circle[::10]))
    assert fine.sum() == pytest.approx(coarse.sum(), rel=0.05)
    assert np.abs(fine - coarse).sum() < 0.1 * coarse.sum()
