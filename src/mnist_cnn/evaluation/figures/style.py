"""One look for all pictures: colours, type sizes, and how a figure is made and saved.

Nothing global is changed: the settings hold while a function decorated with `styled` runs.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mnist_cnn.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

P = ParamSpec("P")

# Blue and vermilion of Okabe & Ito's palette, which people with any colour blindness can tell apart; blue is
# what went right or is expected, vermilion what went wrong.
RIGHT = "#0072B2"
WRONG = "#D55E00"
TEXT = "#1B2733"
MUTED = "#66727F"
RULE = "#DDE3E9"
WASH = "#F3F6F9"
PAPER = "#FFFFFF"

ERRORS = LinearSegmentedColormap.from_list("errors", [PAPER, "#FBE3D0", "#F0A56B", WRONG, "#8F3F00"])
SIGNED = LinearSegmentedColormap.from_list("signed", ["#00456B", RIGHT, "#F7F7F7", WRONG, "#8F3F00"])
INK = "gray_r"  # digits as on paper: dark ink on white

DOTS_PER_INCH = 160  # about twice what a page shows, for sharp text on dense screens

_SETTINGS: Any = {  # Matplotlib's stubs want a dictionary with its own literal keys
    "font.family": "DejaVu Sans",  # ships with Matplotlib, so pictures are the same everywhere
    "font.size": 9,
    "text.color": TEXT,
    "text.parse_math": False,  # class names and file names may hold a $
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.titlecolor": TEXT,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "image.interpolation": "nearest",
    "figure.facecolor": PAPER,
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run `draw` under this package's settings, leaving Matplotlib's own as they were."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_SETTINGS):
            return draw(*args, **kwargs)

    return wrapper


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG, whole or not at all; the same figure always gives the same bytes.

    Raises:
        WriteError: The file cannot be written.
    """
    with mpl.rc_context(_SETTINGS), write_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})


def bare(axes: Axes) -> None:
    """Take away ticks and frame, for pictures that need no axes."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def show_digit(axes: Axes, image: NDArray[Any]) -> None:
    """Show one image, [28, 28] in 0 … 255, as dark ink on white within a thin frame."""
    axes.imshow(image, cmap=INK, vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=RULE)


def image_grid(count: int, columns: int, tile: float, caption: float) -> tuple[Figure, list[Axes]]:
    """Give a figure of `count` square tiles, `tile` inches wide, each with `caption` inches above it."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * tile + 0.15, rows * (tile + caption) + 0.1))
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False).ravel())
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, list(axes[:count])


def shorten(name: str, length: int = 14) -> str:
    """Cut a long class name so that it fits a label."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def label_classes(axes: Axes, class_names: Sequence[str]) -> None:
    """Name the classes along the x axis, slanted where the names are long."""
    names = [shorten(name) for name in class_names]
    long = max(map(len, names)) > 3
    axes.set_xticks(
        range(len(names)), names, rotation=40 if long else 0, ha="right" if long else "center",
        rotation_mode="anchor",
    )  # fmt: skip


def thousands(number: float) -> str:
    """Write a whole number with separators: 9,943."""
    return f"{number:,.0f}"
