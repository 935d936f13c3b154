from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.composition.paper.rules import PrintedLines, cell_borders, guide_lines, ruled


def test_a_line_is_drawn_where_it_was_asked_for() -> None:
    sheet = PrintedLines((20, 40))
    sheet.line((0, 12), (39, 12), 0.5)
    np.testing.assert_allclose(sheet.darkness[12, 2:-2], 0.5, atol=0.06)
    assert not sheet.darkness[:10].any()


def test_crossing_lines_keep_the_darker_one() -> None:
    sheet = PrintedLines((20, 20))
    sheet.line((0, 10), (19, 10), 0.8)
    sheet.line((10, 0), (10, 19), 0.3)
    assert sheet.darkness[10, 10] == pytest.approx(0.8, abs=0.09)


def test_all_kinds_of_lines_are_darkness_between_0_and_1() -> None:
    random = np.random.default_rng(0)
    drawn = [
        draw for _ in range(50) for draw in (guide_lines((50, 150), random), cell_borders((34, 60), random),
                                             ruled((60, 200), 22, random))
    ]  # fmt: skip
    for darkness in drawn:
        assert darkness.dtype == np.float32
        assert 0 <= darkness.min() <= darkness.max() <= 1


def test_borders_of_a_cell_lie_near_its_edges() -> None:
    random = np.random.default_rng(1)
    mean = np.mean([cell_borders((34, 60), random) for _ in range(300)], axis=0)
    assert mean[12:22, 15:45].mean() < 0.1 * mean.max()
