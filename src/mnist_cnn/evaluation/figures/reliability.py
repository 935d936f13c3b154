"""Whether the model's confidence can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mnist_cnn.evaluation.figures.style import MUTED, RIGHT, RULE, TEXT, WRONG, styled, thousands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from mnist_cnn.evaluation.metrics import CalibrationBin


@styled
def reliability(bins: Sequence[CalibrationBin], error: float) -> Figure:
    """Draw accuracy against confidence, and below how many images have which confidence.

    Args:
        bins: As `metrics.calibration_bins` gives them.
        error: The expected calibration error, 0 … 1, for the title.
    """
    figure = Figure(figsize=(4.6, 4.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_accuracy(top, bins)
    _draw_histogram(bottom, bins)
    top.set_title(f"Expected calibration error {100 * error:.2f} %")
    return figure


def _draw_accuracy(axes: Axes, bins: Sequence[CalibrationBin]) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
    filled = [each for each in bins if each.count]
    total = sum(each.count for each in filled)
    for each in filled:
        axes.plot([each.confidence] * 2, [each.confidence, each.accuracy], color=WRONG, linewidth=1.4)
    # A bin of few images says little: its dot is smaller.
    sizes = [18 + 90 * (each.count / total) ** 0.5 for each in filled]
    axes.scatter(
        [each.confidence for each in filled], [each.accuracy for each in filled], s=sizes, color=RIGHT,
        zorder=3, label="observed (larger: more images)",
    )  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), ylabel="share that is right")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid(color=RULE)
    axes.legend(loc="upper left")


def _draw_histogram(axes: Axes, bins: Sequence[CalibrationBin]) -> None:
    centres = [(each.low + each.high) / 2 for each in bins]
    counts = [each.count for each in bins]
    axes.bar(centres, counts, width=0.92 / len(bins), color=RIGHT)
    axes.set_yscale("log")  # nearly all images lie in the last bin
    axes.set_ylim(0.7, 12 * max(counts))
    axes.set_yticks([])
    axes.minorticks_off()
    axes.set(xlabel="confidence", ylabel="images (log)")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    for centre, count in zip(centres, counts, strict=True):
        if count:
            axes.text(centre, count * 1.25, thousands(count), ha="center", va="bottom", fontsize=6, color=TEXT)
