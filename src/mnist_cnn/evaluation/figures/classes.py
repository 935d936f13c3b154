"""Classes side by side: how many images each has, and how well each is recognised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mnist_cnn.evaluation.figures.style import (
    MUTED,
    PAPER,
    RIGHT,
    TEXT,
    WRONG,
    label_classes,
    shorten,
    styled,
    thousands,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from mnist_cnn.evaluation.metrics import ClassScores


@styled
def class_distribution(counts: Mapping[str, Sequence[int]], class_names: Sequence[str]) -> Figure:
    """Draw how many images of each class every split holds.

    Args:
        counts: By split, the number of images of each class, [k].
        class_names: The k classes.
    """
    figure = Figure(figsize=(max(4.5, 0.72 * len(class_names)), 2.1 * len(counts) + 0.6))
    rows = figure.subplots(len(counts), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (split, numbers) in zip(rows, counts.items(), strict=True):
        _draw_counts(axes, split, numbers)
    label_classes(rows[-1], class_names)
    return figure


def _draw_counts(axes: Axes, split: str, numbers: Sequence[int]) -> None:
    bars = axes.bar(range(len(numbers)), numbers, width=0.72, color=RIGHT)
    axes.bar_label(
        bars, [thousands(number) for number in numbers], padding=2, fontsize=8, color=TEXT, zorder=4,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip
    even = sum(numbers) / len(numbers)
    axes.axhline(even, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    axes.set_title(f"{split.capitalize()}: {thousands(sum(numbers))} images (dashed: all classes equal)")
    axes.set_ylim(0, 1.16 * max(*numbers, 1))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", length=0)


@styled
def class_quality(scores: Sequence[ClassScores]) -> Figure:
    """Draw precision and recall of each class as two dots on a line; the axis starts near the worst one."""
    figure = Figure(figsize=(4.9, 1.0 + 0.29 * len(scores)))
    axes = figure.subplots()
    rows = np.arange(len(scores))
    precision = [100 * each.precision for each in scores]
    recall = [100 * each.recall for each in scores]
    axes.hlines(rows, np.minimum(precision, recall), np.maximum(precision, recall), color=MUTED, linewidth=1.2)
    axes.plot(precision, rows, "o", color=RIGHT, markersize=7, label="precision")
    axes.plot(recall, rows, "D", color=WRONG, markersize=6, fillstyle="none", mew=1.6, label="recall")
    _label_quality(axes, scores, min([*precision, *recall]))
    return figure


def _label_quality(axes: Axes, scores: Sequence[ClassScores], worst: float) -> None:
    axes.set_yticks(range(len(scores)), [shorten(each.name) for each in scores])
    axes.invert_yaxis()
    margin = max(100 - worst, 0.2) * 0.08
    axes.set_xlim(worst - margin, 100 + margin)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g} %"))
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
