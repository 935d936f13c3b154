"""A network drawn as a table from top to bottom, with brackets where layers are skipped; no Graphviz."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mnist_cnn.evaluation.figures.style import MUTED, RIGHT, TEXT, WASH, WRONG, bare, shorten, styled, thousands

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

    from mnist_cnn.models.backend import keras

ROW = 0.25  # inches
WIDTH = 6.4  # inches
LANE = 0.17  # inches between two brackets
# Where the columns start, in inches from the left edge of the boxes; numbers are set flush right.
NAME_AT, DETAIL_AT, SHAPE_AT, PARAMETERS_AT, BOX_WIDTH = 0.16, 2.0, 4.62, 5.55, 5.65
FAMILIES = {  # the first fragment found in a layer's kind gives its colour
    "conv": RIGHT,
    "dense": "#E69F00",
    "pool": "#56B4E9",
    "normalization": "#009E73",
    "add": WRONG,
    "concatenate": WRONG,
}


@dataclass(frozen=True)
class LayerRow:
    """One layer as a reader of a Keras summary knows it."""

    name: str
    kind: str  # Keras' class: Conv2D
    detail: str  # "3×3 relu"; may be empty
    shape: str  # of the output, without the batch: 26×26×32
    parameters: int
    inputs: tuple[str, ...]  # names of the layers it reads


def layer_rows(model: keras.Model) -> list[LayerRow]:
    """Describe a Functional or Sequential model's layers, in its own order."""
    inputs = _inputs_by_name(model)
    return [
        LayerRow(
            name=layer.name,
            kind=type(layer).__name__,
            detail=_detail(layer),
            shape="×".join(str(size) for size in layer.output.shape[1:]),
            parameters=layer.count_params(),
            inputs=inputs[layer.name],
        )
        for layer in model.layers
    ]


def _inputs_by_name(model: keras.Model) -> dict[str, tuple[str, ...]]:
    # The configuration that is written into every model file is the public record of what is wired to what.
    wired = {each["name"]: each for each in model.get_config()["layers"] if "inbound_nodes" in each}
    names = [layer.name for layer in model.layers]
    if wired:
        return {name: tuple(dict.fromkeys(_histories(wired[name]["inbound_nodes"]))) for name in names}
    return {name: (before,) if before else () for before, name in zip(["", *names], names, strict=False)}


def _histories(node: Any) -> Iterator[str]:
    """Find the names of the layers whose tensors occur anywhere in a saved call."""
    if isinstance(node, dict):
        if "keras_history" in node:
            yield node["keras_history"][0]
        for value in node.values():
            yield from _histories(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _histories(value)


def _detail(layer: Any) -> str:
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    parts = ["×".join(str(side) for side in size)] if size else []
    if getattr(layer, "rate", None):
        parts.append(f"{layer.rate:g}")
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if activation not in ("linear", type(layer).__name__.lower()):
        parts.append(activation)
    return " ".join(parts)


@styled
def architecture(rows: Sequence[LayerRow]) -> Figure:
    """Draw the layers from top to bottom, with shapes and parameters; brackets show skipped layers."""
    skips = _lanes(_skips(rows))
    left = LANE * (max((lane for *_, lane in skips), default=-1) + 1) + (0.1 if skips else 0)
    height = ROW * (len(rows) + 2.2)
    figure = Figure(figsize=(WIDTH - 0.6 + left, height))
    figure.set_layout_engine("none")  # everything is placed in inches
    axes = figure.add_axes((0, 0, 1, 1))
    bare(axes)
    axes.set_xlim(-left - 0.05, WIDTH - 0.65)
    axes.set_ylim(height, 0)  # downwards, in inches
    _draw_header(axes)
    for index, row in enumerate(rows):
        _draw_row(axes, row, _middle(index))
    _draw_links(axes, rows)
    for start, end, lane in skips:
        _draw_skip(axes, _middle(start), _middle(end), -LANE * (lane + 1))
    _draw_total(axes, rows)
    return figure


def _middle(index: int) -> float:
    return ROW * (index + 1.6)


def _skips(rows: Sequence[LayerRow]) -> list[tuple[int, int]]:
    """Find the connections that are not simply from one row to the next, as (from, to)."""
    position = {row.name: index for index, row in enumerate(rows)}
    pairs = [(position[name], index) for index, row in enumerate(rows) for name in row.inputs]
    return [(start, end) for start, end in pairs if end - start != 1]


def _lanes(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Give each span the innermost lane in which it meets no other: (from, to, lane); short ones first."""
    taken: list[list[tuple[int, int]]] = []
    placed = []
    for start, end in sorted(spans, key=lambda span: span[1] - span[0]):
        lane = next(
            (
                number
                for number, others in enumerate(taken)
                if all(end <= first or start >= last for first, last in others)
            ),
            len(taken),
        )
        if lane == len(taken):
            taken.append([])
        taken[lane].append((start, end))
        placed.append((start, end, lane))
    return placed


def _draw_header(axes: Axes) -> None:
    columns = [(NAME_AT, "layer", "left"), (DETAIL_AT, "kind", "left"), (SHAPE_AT, "output", "right")]
    for x, text, side in [*columns, (PARAMETERS_AT, "parameters", "right")]:
        axes.text(x, ROW * 0.65, text, ha=side, va="center", fontsize=8, color=MUTED)


def _draw_row(axes: Axes, row: LayerRow, y: float) -> None:
    axes.add_patch(_box(0, y, BOX_WIDTH, WASH))
    axes.add_patch(_box(0, y, 0.07, _colour(row.kind)))
    text: dict[str, Any] = {"va": "center", "fontsize": 8.5}
    axes.text(NAME_AT, y, shorten(row.name, 26), fontweight="bold", **text)
    axes.text(DETAIL_AT, y, f"{row.kind} {row.detail}".strip(), **text)
    axes.text(SHAPE_AT, y, row.shape, ha="right", **text)
    number = thousands(row.parameters) if row.parameters else "–"
    axes.text(PARAMETERS_AT, y, number, ha="right", color=TEXT if row.parameters else MUTED, **text)


def _box(x: float, y: float, width: float, colour: str) -> FancyBboxPatch:
    height = 0.82 * ROW
    return FancyBboxPatch(
        (x, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.03",
        facecolor=colour, edgecolor="none",
    )  # fmt: skip


def _colour(kind: str) -> str:
    lowered = kind.lower()
    return next((colour for fragment, colour in FAMILIES.items() if fragment in lowered), "#A9B4BF")


def _draw_links(axes: Axes, rows: Sequence[LayerRow]) -> None:
    for index, (above, below) in enumerate(itertools.pairwise(rows)):
        if above.name in below.inputs:
            axes.plot([0.035] * 2, [_middle(index), _middle(index + 1)], color=MUTED, linewidth=1, zorder=0)


def _draw_skip(axes: Axes, start: float, end: float, x: float) -> None:
    axes.plot([0, x, x, -0.05], [start, start, end, end], color=WRONG, linewidth=1.2, solid_joinstyle="round")
    axes.plot([-0.04], [end], marker=">", markersize=4, color=WRONG)


def _draw_total(axes: Axes, rows: Sequence[LayerRow]) -> None:
    total = sum(row.parameters for row in rows)
    axes.text(
        PARAMETERS_AT, _middle(len(rows)), f"{thousands(total)} parameters in {len(rows)} layers",
        ha="right", va="center", fontsize=8.5, fontweight="bold",
    )  # fmt: skip
