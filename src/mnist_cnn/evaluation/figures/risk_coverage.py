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
_IN_ROW = 2  # panels; more would be too wide for a page


@styled
def risk_coverage(curves: Mapping[str, Mapping[str, RiskCoverage]], goal: float) -> Figure:
    """Draw the risk against the coverage: one panel for each set of images, one curve for each reader.

    Args:
        curves: For each set, the curve of each reader; at least one set.
        goal: The share of wrong readings, 0 … 1, at which a dotted line is drawn.
    """
    columns = min(len(curves), _IN_ROW)
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, (name, readers) in zip(panels.flat, curves.items(), strict=False):
        _draw(axes, readers, goal)
        axes.set_title(name)
    for unused in panels.flat[len(curves) :]:
        unused.remove()
    for axes in panels[:, 0]:
        axes.set_ylabel("wrong among the accepted")
    panels[0, 0].legend(loc="upper left")
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
