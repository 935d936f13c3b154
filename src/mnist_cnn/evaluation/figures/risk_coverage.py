"""How much can be accepted, and how much of it is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from mnist_cnn.evaluation.figures.style import GREEN, MUTED, ORANGE, RIGHT, SKY, WRONG, styled
from mnist_cnn.evaluation.metrics import RiskCoverage

_COLOURS = (RIGHT, GREEN, ORANGE, SKY, WRONG)
_HIGHEST = 0.2  # share of wrong readings; nobody wants more


@styled
def risk_coverage(curves: Mapping[str, Mapping[str, RiskCoverage]], goal: float) -> Figure:
    """Draw the risk against the coverage: one panel for each set of images, one curve for each reader.

    Args:
        curves: For each set, the curve of each reader; at least one set.
        goal: The share of wrong readings, 0 … 1, at which a dotted line is drawn.
    """
    figure = Figure(figsize=(4.2 * len(curves), 3.4))
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (name, readers) in zip(panels, curves.items(), strict=True):
        _draw(axes, readers, goal)
        axes.set_title(name)
    panels[0].set_ylabel("wrong among the accepted")
    panels[0].legend(loc="upper left")
    return figure


def _draw(axes: Axes, readers: Mapping[str, RiskCoverage], goal: float) -> None:
    for colour, (name, curve) in zip(_COLOURS, readers.items(), strict=False):
        axes.plot(curve.coverage, curve.risk, color=colour, label=name, drawstyle="steps-post")
    axes.axhline(goal, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
    axes.set(xlim=(0, 1), ylim=(0, _HIGHEST), xlabel="accepted")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.yaxis.set_major_locator(MultipleLocator(0.05))
    axes.grid()
