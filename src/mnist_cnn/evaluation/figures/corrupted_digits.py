"""Pictures of corrupted digits beside what the preparation makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_cnn.evaluation.figures.style import MUTED, frame, show_digit, styled
from mnist_cnn.evaluation.robustness import CorruptionScore

_COLUMNS = 3  # pairs beside each other
_TILE, _CAPTION = 1.0, 0.42  # inches


@styled
def corrupted_digits(scores: Sequence[CorruptionScore]) -> Figure:
    """Show one example of each corruption: on the left as it is, on the right prepared, and the accuracies below."""
    rows = -(-len(scores) // _COLUMNS)
    widths = [1.0, 1.0, 0.25] * _COLUMNS  # a gap sets the pairs apart
    size = sum(widths[:-1]) * _TILE + 0.2, rows * (_TILE + _CAPTION)
    figure = Figure(figsize=size)
    grid = figure.subplots(rows, len(widths) - 1, squeeze=False, width_ratios=widths[:-1])
    for axes in grid.flat:
        axes.set_axis_off()
    for place, score in enumerate(scores):
        row, column = divmod(place, _COLUMNS)
        _draw_pair(grid[row, 3 * column], grid[row, 3 * column + 1], score)
    return figure


def _draw_pair(left: Axes, right: Axes, score: CorruptionScore) -> None:
    shares = score.accuracy, score.prepared_accuracy
    for axes, image, share in zip((left, right), score.example, shares, strict=True):
        axes.set_axis_on()
        show_digit(axes, image)
        frame(axes, MUTED, 0.6)
        axes.set_xlabel(f"{100 * share:.1f} %", fontsize=8, labelpad=2)
    left.set_title(score.name, fontsize=8.5, pad=3)
