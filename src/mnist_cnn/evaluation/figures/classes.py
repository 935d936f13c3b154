"""Classes side by side: how many images each has, and how well each is recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_cnn.evaluation.figures.style import MUTED, PAPER, RIGHT, WRONG, label_classes, shorten, styled
from mnist_cnn.evaluation.metrics import ClassScores


@styled
def class_distribution(counts: Mapping[str, Sequence[int]], class_names: Sequence[str]) -> Figure:
    """Draw how many images of each class every split contains.

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
    plate = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}
    axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=8, zorder=4, bbox=plate)
    axes.axhline(sum(numbers) / len(numbers), color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    axes.set_title(f"{split.capitalize()}: {sum(numbers):,} images (dashed: mean)")
    axes.set(ylim=(0, 1.16 * max(*numbers, 1)), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", length=0)


@styled
def class_quality(scores: Sequence[ClassScores]) -> Figure:
    """Draw precision and recall of each class as two dots on a line; the axis starts near the worst one."""
    figure = Figure(figsize=(4.9, 1.0 + 0.29 * len(scores)))
    axes = figure.subplots()
    rows = range(len(scores))
    precision, recall = (100 * np.array([(each.precision, each.recall) for each in scores])).T
    axes.hlines(rows, np.minimum(precision, recall), np.maximum(precision, recall), color=MUTED, linewidth=1.2)
    axes.plot(precision, rows, "o", color=RIGHT, markersize=7, label="precision")
    axes.plot(recall, rows, "D", color=WRONG, markersize=6, fillstyle="none", mew=1.6, label="recall")
    axes.set_yticks(rows, [shorten(each.name) for each in scores])
    axes.invert_yaxis()
    worst = min(precision.min(), recall.min())
    margin = max(100 - worst, 0.2) * 0.08
    axes.set_xlim(worst - margin, 100 + margin)
    axes.xaxis.set_major_formatter("{x:.4g} %")
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
    return figure
