"""Pictures of an ensemble: where its members disagree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_cnn.evaluation.figures.style import RIGHT, WRONG, image_grid, shorten, show_digit, styled

_SHORT = 2  # characters of a class name that fit beside each other
_LINE = 0.16  # inches between two names below each other


@styled
def disagreements(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    answers: NDArray[np.int64],
    ensemble: NDArray[np.int64],
    class_names: Sequence[str],
) -> Figure:
    """Show images with the ensemble's answer and their true class above, and each member's answer below.

    Answers that are right are blue, wrong ones are orange and bold.

    Args:
        images: uint8 [n, 28, 28].
        labels: [n].
        answers: [m, n], of each member in its order.
        ensemble: [n].
        class_names: The k classes.
    """
    is_long = max(map(len, class_names)) > _SHORT
    names = [shorten(name, 11) for name in class_names]
    room = 0.5 if not is_long else 0.36 + _LINE * len(answers)
    figure, tiles = image_grid(len(images), columns=8, tile=1.0, caption=room)
    for axes, image, label, whole, said in zip(tiles, images, labels, ensemble, answers.T, strict=True):
        show_digit(axes, image)
        is_right = whole == label
        axes.set_title(
            f"{'✓' if is_right else '✗'} {names[whole]}\ntrue: {names[label]}",
            fontsize=7.5, loc="center", pad=3, color=RIGHT if is_right else WRONG, fontweight="normal",
        )  # fmt: skip
        _write_answers(axes, [names[each] for each in said], list(said == label), is_long)
    return figure


def _write_answers(axes: Axes, names: Sequence[str], is_right: Sequence[bool], is_long: bool) -> None:
    axes.set_xlabel(" " if not is_long else "\n" * (len(names) - 1), fontsize=8.5, labelpad=2)  # room for them
    for index, (name, right) in enumerate(zip(names, is_right, strict=True)):
        x, y = ((index + 0.5) / len(names), -0.06) if not is_long else (0.5, -0.05 - _LINE * index)
        axes.text(
            x, y, name, transform=axes.transAxes, ha="center", va="top", fontsize=8.5 if not is_long else 7.5,
            color=RIGHT if right else WRONG, fontweight="normal" if right else "bold", in_layout=False,
        )  # fmt: skip
