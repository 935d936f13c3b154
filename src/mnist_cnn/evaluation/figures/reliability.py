"""Whether the model's confidence can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mnist_cnn.evaluation.figures.style import MUTED, RIGHT, WRONG, styled
from mnist_cnn.evaluation.metrics import CalibrationBin


@styled
def reliability(bins: Sequence[CalibrationBin], error: float) -> Figure:
    """Draw accuracy against confidence, and below it how many images have which confidence.

    Args:
        bins: As `metrics.calibration_bins` returns them.
        error: The expected calibration error, 0 … 1, for the title.
    """
    figure = Figure(figsize=(4.6, 4.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_accuracy(top, [each for each in bins if each.count])
    _draw_histogram(bottom, bins)
    top.set_title(f"Expected calibration error: {100 * error:.2f} %")
    bottom.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return figure


def _draw_accuracy(axes: Axes, filled: Sequence[CalibrationBin]) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
    counts, confidence, accuracy = np.array([(each.count, each.confidence, each.accuracy) for each in filled]).T
    axes.vlines(confidence, confidence, accuracy, color=WRONG, linewidth=1.4)
    # A bin of few images says little: its dot is smaller.
    sizes = 18 + 90 * (counts / counts.sum()) ** 0.5
    axes.scatter(confidence, accuracy, s=sizes, color=RIGHT, zorder=3, label="observed (larger: more images)")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), ylabel="accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid()
    axes.legend(loc="best")


def _draw_histogram(axes: Axes, bins: Sequence[CalibrationBin]) -> None:
    centres, counts = [(each.low + each.high) / 2 for each in bins], [each.count for each in bins]
    bars = axes.bar(centres, counts, width=0.92 / len(bins), color=RIGHT)
    axes.bar_label(bars, [f"{count:,}" if count else "" for count in counts], padding=2, fontsize=6)
    axes.set_yscale("log")  # nearly all images are in the last bin
    axes.set(ylim=(0.7, 12 * max(counts)), yticks=[], xlabel="confidence", ylabel="images (log)")
    axes.minorticks_off()
