"""How training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter

from mnist_cnn.evaluation.figures.style import MUTED, RIGHT, WRONG, styled
from mnist_cnn.runs import best_epoch

Epoch = Mapping[str, Any]  # epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds


@styled
def learning_curves(history: Sequence[Epoch], monitor: str = "loss") -> Figure:
    """Draw loss, accuracy and learning rate over the epochs, and mark the best one.

    Args:
        history: One mapping per epoch with `epoch` (1-based), `loss` and `accuracy`, and optionally `val_loss`,
            `val_accuracy` and `learning_rate`.
        monitor: "loss" or "accuracy": the validation result that decides which epoch is best.
    """
    best = best_epoch(history, monitor)
    figure = Figure(figsize=(9, 3.1))
    loss, accuracy, rate = figure.subplots(1, 3)
    _draw_pair(loss, history, "loss", best)
    _draw_pair(accuracy, history, "accuracy", best)
    _draw_rate(rate, history)
    _scale_loss(loss)
    _scale_accuracy(accuracy)
    for axes, title in zip(figure.axes, ("Loss (nats)", "Accuracy", "Learning rate"), strict=True):
        _label(axes, title, history)
    return figure


def _draw_pair(axes: Axes, history: Sequence[Epoch], key: str, best: int) -> None:
    _draw_series(axes, history, key, label="training", color=MUTED)
    if any(f"val_{key}" in row for row in history):
        known = _draw_series(axes, history, f"val_{key}", label="validation", color=RIGHT)
        if best in known:
            ring: Any = {"markersize": 9, "fillstyle": "none", "color": WRONG, "mew": 1.6}
            axes.plot(best, known[best], "o", label=f"best: epoch {best}", **ring)
    axes.legend(loc="best")


def _draw_rate(axes: Axes, history: Sequence[Epoch]) -> None:
    if rates := _draw_series(axes, history, "learning_rate", color=RIGHT):
        axes.yaxis.set_major_formatter("{x:.3g}")
        axes.set_ylim(0, max(rates.values()) * 1.15 or 1)
    else:
        axes.text(0.5, 0.5, "not recorded", ha="center", va="center", color=MUTED, transform=axes.transAxes)
        axes.set_yticks([])


def _draw_series(axes: Axes, history: Sequence[Epoch], key: str, **look: Any) -> dict[int, float]:
    """Draw what is known of one value, and return it by epoch; accuracies in percent."""
    scale = 100 if key.endswith("accuracy") else 1
    known = {row["epoch"]: scale * row[key] for row in history if _is_number(row.get(key))}
    if known or "label" in look:
        axes.plot(list(known), list(known.values()), marker="o", markersize=4 if len(history) <= 25 else 0, **look)
    return known


def _scale_loss(axes: Axes) -> None:
    low, high = axes.dataLim.y0, axes.dataLim.y1
    if low > 0 and high / low > 8:  # a loss falls by orders of magnitude; linear, its end would be a flat line
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="minor", length=0)


def _scale_accuracy(axes: Axes) -> None:
    low, high = axes.dataLim.y0, axes.dataLim.y1
    if high > 97 and 100 - low > 4 * (100 - high):
        # From 99 to 99.5 the errors halve: equal steps of the error's logarithm show that.
        functions = (lambda share: -np.log10(np.maximum(100 - share, 0.01)), lambda steps: 100 - 10.0**-steps)
        axes.set_yscale("function", functions=functions)
        axes.yaxis.set_major_locator(FixedLocator((20, 50, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98)))
        axes.set_ylim(low - 0.15 * (100 - low), 100 - 0.7 * max(100 - high, 0.02))  # where 100 % is drawn
    axes.yaxis.set_major_formatter("{x:.4g} %")


def _label(axes: Axes, title: str, history: Sequence[Epoch]) -> None:
    axes.set_title(title)
    axes.grid(axis="y")
    first, last = history[0]["epoch"], history[-1]["epoch"]
    margin = max((last - first) * 0.05, 0.5)
    axes.set(xlabel="epoch", xlim=(max(first - margin, 0.5), last + margin))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))
