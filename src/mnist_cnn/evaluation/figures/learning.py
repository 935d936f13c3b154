"""How training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from mnist_cnn.evaluation.figures.style import MUTED, RIGHT, WRONG, styled
from mnist_cnn.runs import best_epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

ACCURACY_TICKS = (20, 50, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98)  # percent
SMALLEST_ERROR = 0.02  # percent; where 100 % is drawn on the logarithmic scale

Epoch = Mapping[str, Any]  # epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds


@styled
def learning_curves(history: Sequence[Epoch], monitor: str = "loss") -> Figure:
    """Draw loss, accuracy and learning rate over the epochs, and mark the best one.

    Args:
        history: One mapping per epoch with `epoch` (1-based), `loss` and `accuracy`; `val_loss`,
            `val_accuracy` and `learning_rate` where there are any.
        monitor: "loss" or "accuracy": the validation result that decides which epoch is best.
    """
    best = best_epoch(history, monitor)
    figure = Figure(figsize=(9, 3.1))
    loss, accuracy, rate = figure.subplots(1, 3)
    _draw_pair(loss, history, "loss", "Loss (nats)", best)
    _draw_pair(accuracy, history, "accuracy", "Accuracy", best)
    _draw_rate(rate, history)
    _scale_loss(loss)
    _scale_accuracy(accuracy)
    for axes in (loss, accuracy, rate):
        _label_epochs(axes, history)
    return figure


def _draw_pair(axes: Axes, history: Sequence[Epoch], key: str, title: str, best: int) -> None:
    axes.set_title(title)
    _draw_series(axes, history, key, "training", MUTED)
    if any(f"val_{key}" in row for row in history):
        _draw_series(axes, history, f"val_{key}", "validation", RIGHT)
        _mark_best(axes, history, f"val_{key}", best)
    axes.grid(axis="y")
    axes.legend(loc="best")


def _draw_series(axes: Axes, history: Sequence[Epoch], key: str, label: str, colour: str) -> None:
    epochs, values = _series(history, key)
    axes.plot(epochs, values, label=label, color=colour, marker="o", markersize=_marker_size(len(history)))


def _mark_best(axes: Axes, history: Sequence[Epoch], key: str, best: int) -> None:
    epochs, values = _series(history, key)
    if best in epochs:
        value = values[epochs.index(best)]
        axes.plot(
            [best], [value], "o", markersize=9, fillstyle="none", color=WRONG, markeredgewidth=1.6,
            label=f"best, epoch {best}",
        )  # fmt: skip


def _draw_rate(axes: Axes, history: Sequence[Epoch]) -> None:
    axes.set_title("Learning rate")
    epochs, values = _series(history, "learning_rate")
    if not values:
        axes.text(0.5, 0.5, "not recorded", ha="center", va="center", color=MUTED, transform=axes.transAxes)
        axes.set_yticks([])
        return
    axes.plot(epochs, values, color=RIGHT, marker="o", markersize=_marker_size(len(history)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.set_ylim(0, max(values) * 1.15 or 1)
    axes.grid(axis="y")


def _scale_loss(axes: Axes) -> None:
    low, high = axes.dataLim.y0, axes.dataLim.y1
    if low > 0 and high / low > 8:  # a loss falls by orders of magnitude; linear, its end would be a flat line
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="minor", length=0)


def _scale_accuracy(axes: Axes) -> None:
    low, high = axes.dataLim.y0, axes.dataLim.y1
    if high > 97 and 100 - low > 4 * (100 - high):
        # Between 99 and 99.5 lies half of the errors: equal steps of the error's logarithm show that.
        axes.set_yscale("function", functions=(error_steps, steps_to_accuracy))
        axes.yaxis.set_major_locator(FixedLocator(ACCURACY_TICKS))
        axes.set_ylim(low - 0.15 * (100 - low), 100 - 0.7 * max(100 - high, SMALLEST_ERROR))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g} %"))


def error_steps(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the place of an accuracy in percent on a scale in which halving the errors is always as far."""
    return -np.log10(np.maximum(100 - np.asarray(accuracy), SMALLEST_ERROR / 2))


def steps_to_accuracy(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give back what `error_steps` was given."""
    return 100 - 10.0 ** -np.asarray(steps)


def _label_epochs(axes: Axes, history: Sequence[Epoch]) -> None:
    first, last = history[0]["epoch"], history[-1]["epoch"]
    margin = max((last - first) * 0.05, 0.5)
    axes.set_xlim(max(first - margin, 0.5), last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")


def _series(history: Sequence[Epoch], key: str) -> tuple[list[int], list[float]]:
    known = [row for row in history if _is_number(row.get(key))]
    scale = 100 if key.endswith("accuracy") else 1
    return [int(row["epoch"]) for row in known], [float(row[key]) * scale for row in known]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _marker_size(epochs: int) -> float:
    return 4 if epochs <= 25 else 0
