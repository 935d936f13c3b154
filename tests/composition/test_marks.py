from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.composition import marks

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_cnn.composition.hands import Stroke

    Kind = Callable[[np.random.Generator], list[Stroke]]

KINDS: list[Kind] = [
    marks.separator,
    marks.opening,
    marks.closing,
    lambda random: marks.crossing_out(2.5, random),
    marks.word,
    marks.clutter,
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_mark_is_a_list_of_finite_strokes_of_plausible_size(
    kind: Kind,
) -> None:
    random = np.random.default_rng(1)
    for _ in range(500):
        strokes = kind(random)
        assert strokes
        for stroke in strokes:
            assert stroke.dtype == np.float32
            assert stroke.ndim == 2
            assert stroke.shape[0] >= 2
            assert stroke.shape[1] == 2
            assert np.isfinite(stroke).all()
            assert stroke[:, 1].min() > -1
            assert stroke[:, 1].max() < 2.2
        ink = np.concatenate(strokes)
        assert -0.6 < ink[:, 0].min() < 0.4
        assert np.hypot(*np.ptp(ink, axis=0)) >= 0.02


def test_a_crossing_out_covers_the_number() -> None:
    random = np.random.default_rng(2)
    for width in (0.5, 2.0, 6.0):
        for _ in range(100):
            ink = np.concatenate(marks.crossing_out(width, random))
            assert ink[:, 0].min() < 0.25
            assert ink[:, 0].max() > width - 0.25


def test_a_curve_passes_through_its_control_points() -> None:
    controls = np.array([(0, 0), (1, 2), (3, 1), (4, 4)])
    smooth = marks.curve(controls)
    np.testing.assert_allclose(smooth[::8], controls, atol=1e-6)
