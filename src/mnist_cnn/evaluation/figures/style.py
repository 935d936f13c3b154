"""One look for all figures: colours, type sizes, and how a figure is made and saved.

Matplotlib's settings apply only while a function decorated with `styled` runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_cnn.files import write_whole
from mnist_cnn.reading import palette

P = ParamSpec("P")

RIGHT, WRONG, TEXT, MUTED = palette.RIGHT, palette.WRONG, palette.TEXT, palette.MUTED
RULE, PAPER, WASH = palette.RULE, palette.PAPER, "#F3F6F9"
ORANGE, SKY, GREEN = "#E69F00", "#56B4E9", "#009E73"  # also from Okabe and Ito's palette


def mix(colour: str, other: str, share: float) -> str:
    """Mix two colours, `share` (0 … 1) of the first with the rest of the second: "#rrggbb"."""
    pair = zip(to_rgb(colour), to_rgb(other), strict=True)
    red, green, blue = (share * one + (1 - share) * two for one, two in pair)
    return to_hex((red, green, blue))


DIAGONAL = mix(RIGHT, PAPER, 0.14)
_DARK_RIGHT, _DARK_WRONG = mix(RIGHT, "black", 0.6), mix(WRONG, "black", 0.66)
ERRORS = LinearSegmentedColormap.from_list(
    "errors", [PAPER, mix(WRONG, PAPER, 0.2), mix(WRONG, PAPER, 0.55), WRONG, _DARK_WRONG]
)
SIGNED = LinearSegmentedColormap.from_list("signed", [_DARK_RIGHT, RIGHT, "#F7F7F7", WRONG, _DARK_WRONG])
INK = "gray_r"  # digits as on paper: dark ink on white

DOTS_PER_INCH = 160  # about twice what a page shows, for sharp text on dense screens

SETTINGS: Any = {  # Matplotlib's stubs want a dictionary with its own literal keys
    "font.family": "DejaVu Sans",  # ships with Matplotlib, so pictures are the same everywhere
    "font.size": 9,
    "text.color": TEXT,
    "text.parse_math": False,  # class names and file names may contain a $
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": TEXT,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "image.interpolation": "nearest",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run `draw` under this package's settings, and restore the user's settings afterwards."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style.context(SETTINGS, after_reset=True):
            return draw(*args, **kwargs)

    return wrapper


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG, whole or not at all; the same figure always gives the same bytes.

    Raises:
        WriteError: The file cannot be written.
    """
    with style.context(SETTINGS, after_reset=True), write_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})


def frame(axes: Axes, colour: str = RULE, width: float = 0.8) -> None:
    """Remove the ticks and draw a frame on all four sides."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=colour, linewidth=width)


def bare(axes: Axes) -> None:
    """Remove ticks and frame, for pictures that need no axes."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def show_digit(axes: Axes, image: NDArray[Any]) -> None:
    """Show one image, [28, 28] in 0 … 255, as dark ink on white within a thin frame."""
    axes.imshow(image, cmap=INK, vmin=0, vmax=255)
    frame(axes)


def image_grid(
    count: int, columns: int, tile: float, caption: float, height: float | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` tiles, each with `caption` inches above it.

    Args:
        count: At least one.
        columns: The most tiles beside each other.
        tile: Width of a tile, inches.
        caption: Room above each tile, inches.
        height: Height of a tile, inches; None for a square one.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * tile + 0.15, rows * ((height or tile) + caption) + 0.1))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def shorten(name: str, length: int = 14) -> str:
    """Cut a long class name so that it fits a label."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def label_classes(axes: Axes, class_names: Sequence[str]) -> None:
    """Name the classes along the x axis, slanted if the names are long."""
    names = [shorten(name) for name in class_names]
    axes.set_xticks(range(len(names)), names, rotation_mode="anchor")
    if max(map(len, names)) > 3:
        axes.tick_params(axis="x", rotation=40)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
