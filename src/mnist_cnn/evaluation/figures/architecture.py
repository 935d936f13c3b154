"""A network drawn as a table from top to bottom, with brackets where layers are skipped; no Graphviz."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mnist_cnn.evaluation.figures.style import (
    GREEN,
    MUTED,
    ORANGE,
    RIGHT,
    SKY,
    WASH,
    WRONG,
    bare,
    mix,
    shorten,
    styled,
)
from mnist_cnn.evaluation.layers import LayerRow

ROW = 0.25  # inches
LANE = 0.17  # inches between two brackets
# Where the columns start, in inches from the left edge of the boxes; numbers are right-aligned.
COLUMNS = {"layer": (0.16, "left"), "type": (2.0, "left"), "output": (4.62, "right"), "parameters": (5.55, "right")}
WIDTH = 5.65  # of the boxes, in inches
FAMILIES = {  # the first fragment found in a layer's class gives its colour
    "conv": RIGHT,
    "dense": ORANGE,
    "pool": SKY,
    "normalization": GREEN,
    "add": WRONG,
    "concatenate": WRONG,
    "": mix(MUTED, "white", 0.55),
}


@styled
def architecture(rows: Sequence[LayerRow]) -> Figure:
    """Draw the layers from top to bottom, with shapes and parameters; brackets show skip connections."""
    skips = assign_lanes(_skips(rows))
    left = LANE * (max((lane for *_, lane in skips), default=-1) + 1) + (0.1 if skips else 0)
    height = ROW * (len(rows) + 2.2)
    figure = Figure(figsize=(WIDTH + left + 0.15, height))
    figure.set_layout_engine("none")  # everything is placed in inches
    axes = figure.add_axes((0, 0, 1, 1))
    bare(axes)
    axes.set(xlim=(-left - 0.05, WIDTH + 0.1), ylim=(height, 0))  # downwards, in inches
    _write(axes, ROW * 0.65, list(COLUMNS), fontsize=8, color=MUTED)
    for index, row in enumerate(rows):
        _draw_row(axes, row, _middle(index))
    for index, (above, below) in enumerate(itertools.pairwise(rows)):
        if above.name in below.inputs:
            axes.plot([0.035] * 2, [_middle(index), _middle(index + 1)], color=MUTED, linewidth=1, zorder=0)
    for start, end, lane in skips:
        _draw_skip(axes, _middle(start), _middle(end), -LANE * (lane + 1))
    total = f"{sum(row.parameters for row in rows):,} parameters in {len(rows)} layers"
    _write(axes, _middle(len(rows)), ["", "", "", total], fontweight="bold")
    return figure


def _middle(index: int) -> float:
    return ROW * (index + 1.6)


def _skips(rows: Sequence[LayerRow]) -> list[tuple[int, int]]:
    """Find the connections that are not simply from one row to the next, as (from, to)."""
    position = {row.name: index for index, row in enumerate(rows)}
    pairs = [(position[name], index) for index, row in enumerate(rows) for name in row.inputs]
    return [(start, end) for start, end in pairs if end - start != 1]


def assign_lanes(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Assign each span the innermost lane where it overlaps no other, as (from, to, lane), the shortest first."""
    placed: list[tuple[int, int, int]] = []
    for start, end in sorted(spans, key=lambda span: span[1] - span[0]):
        taken = {lane for first, last, lane in placed if start < last and first < end}
        placed.append((start, end, next(lane for lane in itertools.count() if lane not in taken)))
    return placed


def _draw_row(axes: Axes, row: LayerRow, y: float) -> None:
    colour = next(colour for fragment, colour in FAMILIES.items() if fragment in row.kind.lower())
    for width, fill in ((WIDTH, WASH), (0.07, colour)):
        corner, height = (0, y - 0.41 * ROW), 0.82 * ROW
        style = "round,pad=0,rounding_size=0.03"
        axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=fill, edgecolor="none"))
    _write(axes, y, [shorten(row.name, 26)], fontweight="bold")
    parameters = f"{row.parameters:,}" if row.parameters else "–"
    _write(axes, y, ["", f"{row.kind} {row.detail}".strip(), row.shape, parameters])


def _write(axes: Axes, y: float, texts: Sequence[str], **look: Any) -> None:
    for (x, side), text in zip(COLUMNS.values(), texts, strict=False):
        if text:
            axes.text(x, y, text, **{"ha": side, "va": "center", "fontsize": 8.5, **look})


def _draw_skip(axes: Axes, start: float, end: float, x: float) -> None:
    axes.plot([0, x, x, -0.05], [start, start, end, end], color=WRONG, linewidth=1.2, solid_joinstyle="round")
    axes.plot([-0.04], [end], marker=">", markersize=4, color=WRONG)
