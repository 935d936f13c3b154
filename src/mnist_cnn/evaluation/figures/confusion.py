"""Which class is taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from mnist_cnn.evaluation.figures.style import (
    ERRORS,
    MUTED,
    PAPER,
    RULE,
    TEXT,
    label_classes,
    shorten,
    styled,
    thousands,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

DIAGONAL = "#DCEBF5"


@styled
def confusion_matrix(cells: NDArray[Any], class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix, [k, k], as counts (integers) or as shares of each row (floats, 0 … 1).

    The diagonal has a colour of its own and stays out of the scale: it is a hundred times larger than the
    errors and would drown them. The scale is a square root, so that a single error can still be seen beside
    many.
    """
    side = max(1.3 + 0.38 * len(class_names), 3.6)  # the title needs some width
    figure = Figure(figsize=(side, side - 0.1))
    axes = figure.subplots()
    _draw_cells(axes, cells)
    for row, column in np.ndindex(*cells.shape):
        _write_cell(axes, cells, row, column)
    _label(axes, class_names)
    shares = np.issubdtype(cells.dtype, np.floating)
    axes.set_title("Share of each true class (%)" if shares else "Number of images")
    return figure


def _draw_cells(axes: Axes, cells: NDArray[Any]) -> None:
    errors = np.ma.masked_array(cells, np.eye(len(cells), dtype=bool))
    top = max(float(errors.max() or 0), 1e-9)
    background = ERRORS.with_extremes(bad=DIAGONAL)
    axes.imshow(errors, cmap=background, norm=PowerNorm(0.5, vmin=0, vmax=top))
    axes.set_xticks(np.arange(len(cells) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(cells) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=RULE, linewidth=0.6)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=RULE)


def _write_cell(axes: Axes, cells: NDArray[Any], row: int, column: int) -> None:
    value = cells[row, column]
    on_diagonal = row == column
    if value == 0 and not on_diagonal:
        axes.text(column, row, "·", ha="center", va="center", color="#B4BDC6")
        return
    largest = (cells - np.diag(np.diag(cells))).max()
    dark = not on_diagonal and value > 0.45 * largest
    axes.text(
        column, row, _cell_text(value), ha="center", va="center", fontsize=7.5,
        color=PAPER if dark else TEXT, fontweight="normal" if on_diagonal else "bold",
    )  # fmt: skip


def _cell_text(value: Any) -> str:
    if isinstance(value, np.integer | int):
        return thousands(int(value))
    percent = 100 * float(value)
    return "<0.1" if 0 < percent < 0.05 else f"{percent:.1f}"


def _label(axes: Axes, class_names: Sequence[str]) -> None:
    label_classes(axes, class_names)
    axes.set_yticks(range(len(class_names)), [shorten(name) for name in class_names])
    axes.set_xlabel("predicted as", color=MUTED)
    axes.set_ylabel("true class", color=MUTED)
