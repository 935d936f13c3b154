"""The confusion matrix: which class is mistaken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_cnn.evaluation.figures.style import (
    DIAGONAL,
    ERRORS,
    MUTED,
    PAPER,
    RULE,
    TEXT,
    frame,
    label_classes,
    shorten,
    styled,
)


@styled
def confusion_matrix(cells: NDArray[Any], class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix, [k, k], as counts (integers) or as shares of each row (floats, 0 … 1).

    The diagonal has a colour of its own and does not enter the scale: it is a hundred times larger than the errors.
    The scale is a square root, so that a single error remains visible beside many.
    """
    side = max(1.3 + 0.38 * len(class_names), 3.6)  # the title needs some width
    figure = Figure(figsize=(side, side - 0.1))
    axes = figure.subplots()
    errors = np.ma.masked_array(cells, np.eye(len(cells), dtype=bool))
    _draw_cells(axes, errors)
    for row, column in np.ndindex(*cells.shape):
        _write_cell(axes, cells[row, column], row, column, float(errors.max() or 0))
    label_classes(axes, class_names)
    axes.set_yticks(range(len(class_names)), [shorten(name) for name in class_names])
    axes.set(xlabel="predicted class", ylabel="true class")
    shares = np.issubdtype(cells.dtype, np.floating)
    axes.set_title("Share of each true class (%)" if shares else "Number of images")
    return figure


def _draw_cells(axes: Axes, errors: np.ma.MaskedArray[Any, Any]) -> None:
    top = max(float(errors.max() or 0), 1e-9)
    axes.imshow(errors, cmap=ERRORS.with_extremes(bad=DIAGONAL), norm=PowerNorm(0.5, vmin=0, vmax=top))
    frame(axes)
    edges = np.arange(len(errors) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=RULE, linewidth=0.6)
    axes.tick_params(which="both", length=0)


def _write_cell(axes: Axes, value: Any, row: int, column: int, largest: float) -> None:
    look: dict[str, Any] = {"color": TEXT, "fontsize": 7.5}
    if row != column:
        look |= {"fontweight": "bold", "color": PAPER if value > 0.45 * largest else TEXT}
        if value == 0:
            look = {"color": MUTED, "alpha": 0.5}
    axes.text(column, row, _cell_text(value, row == column), ha="center", va="center", **look)


def _cell_text(value: Any, on_diagonal: bool) -> str:
    if value == 0 and not on_diagonal:
        return "·"
    if isinstance(value, np.integer):
        return f"{value:,}"
    return "<0.1" if 0 < value < 0.0005 else f"{100 * value:.1f}"
