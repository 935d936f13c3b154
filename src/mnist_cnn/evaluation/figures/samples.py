"""Pictures that show images: samples, errors, class means, and what a prediction rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_cnn.evaluation.figures.style import (
    INK,
    MUTED,
    RIGHT,
    SIGNED,
    WRONG,
    bare,
    image_grid,
    shorten,
    show_digit,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Images = NDArray[np.uint8]  # [n, 28, 28]
Classes = NDArray[np.int64]  # [n]


@styled
def sample_predictions(images: Images, labels: Classes, predicted: Classes, class_names: Sequence[str]) -> Figure:
    """Show images with their true and predicted label; a wrong one stands out by colour, frame and sign."""
    figure, tiles = image_grid(len(images), columns=8, tile=1.0, caption=0.34)
    for axes, image, label, guess in zip(tiles, images, labels, predicted, strict=True):
        show_digit(axes, image)
        right = label == guess
        _frame(axes, RIGHT if right else WRONG)
        axes.set_title(
            f"{'✓' if right else '✗'} {shorten(class_names[guess], 11)}\n"
            f"true: {shorten(class_names[label], 11)}",
            fontsize=7.5, color=RIGHT if right else WRONG, loc="center", pad=3, fontweight="normal",
        )  # fmt: skip
    return figure


@styled
def misclassified(
    images: Images,
    labels: Classes,
    predicted: Classes,
    confidence: NDArray[np.floating[Any]],
    class_names: Sequence[str],
) -> Figure:
    """Show misread images in the order given: true → predicted, and the confidence (0 … 1) of the error."""
    long = max(map(len, class_names)) > 3
    figure, tiles = image_grid(len(images), columns=8, tile=1.0, caption=0.46 if long else 0.34)
    arrow = "\n→ " if long else " → "
    rows = zip(tiles, images, labels, predicted, confidence, strict=True)
    for axes, image, label, guess, sure in rows:
        show_digit(axes, image)
        names = arrow.join(shorten(class_names[each], 11) for each in (label, guess))
        axes.set_title(names, fontsize=7.5 if long else 9, loc="center", pad=3)
        axes.set_xlabel(f"{100 * sure:.0f} % sure", fontsize=7.5, labelpad=2)
    return figure


@styled
def sample_grid(images: Images, labels: Classes, class_names: Sequence[str]) -> Figure:
    """Show images in rows by class; `labels` must be sorted."""
    counts = np.bincount(labels, minlength=len(class_names))
    columns = int(counts.max())
    canvas = np.zeros((28 * len(counts), 28 * columns), dtype=np.uint8)
    for row, count in enumerate(counts):
        for column, image in enumerate(images[labels == row][:count]):
            canvas[28 * row : 28 * row + 28, 28 * column : 28 * column + 28] = image
    return _sheet(canvas, class_names, columns)


def _sheet(canvas: Images, class_names: Sequence[str], columns: int) -> Figure:
    rows, longest = len(class_names), max(len(shorten(name)) for name in class_names)
    figure = Figure(figsize=(0.5 * columns + 0.12 * longest + 0.2, 0.5 * rows + 0.15))
    axes = figure.subplots()
    axes.imshow(canvas, cmap=INK, vmin=0, vmax=255)
    bare(axes)
    axes.set_yticks(28 * np.arange(rows) + 13.5, [shorten(name) for name in class_names], fontweight="bold")
    return figure


@styled
def mean_images(means: NDArray[np.float32], class_names: Sequence[str]) -> Figure:
    """Show the mean image of each class, [k, 28, 28] in 0 … 255."""
    figure, tiles = image_grid(len(means), columns=5, tile=1.1, caption=0.25)
    for axes, mean, name in zip(tiles, means, class_names, strict=True):
        show_digit(axes, mean)
        axes.set_title(shorten(name), loc="center", pad=3)
    return figure


@styled
def saliency_overlays(
    images: Images, maps: NDArray[np.float32], labels: Classes, predicted: Classes, class_names: Sequence[str]
) -> Figure:
    """Show each image, and below it where hiding a patch lowers (vermilion) or raises (blue) the probability.

    Args:
        images: uint8 [n, 28, 28].
        maps: As `saliency.occlusion_maps` gives them, [n, 28, 28], each drawn on a scale of its own.
        labels: [n].
        predicted: [n].
        class_names: The k classes.
    """
    figure = Figure(figsize=(1.05 * len(images) + 0.4, 2.6))
    grid = figure.subplots(2, len(images), squeeze=False)
    for column, (image, drop) in enumerate(zip(images, maps, strict=True)):
        label, guess = labels[column], predicted[column]
        top, bottom = grid[:, column]
        show_digit(top, image)
        colour = RIGHT if label == guess else WRONG
        name = class_names[guess]
        title = f"read as {name}" if len(name) <= 3 else shorten(name, 11)
        top.set_title(title, fontsize=8, color=colour, loc="center", pad=3)
        _overlay(bottom, image, drop)
        bottom.set_xlabel(f"up to −{100 * max(float(drop.max()), 0):.0f} pts", fontsize=7.5, labelpad=2)
    grid[0, 0].set_ylabel("image", color=MUTED)
    grid[1, 0].set_ylabel("importance", color=MUTED)
    return figure


def _overlay(axes: Any, image: Images, drop: NDArray[np.float32]) -> None:
    show_digit(axes, image * np.float32(0.45))  # pale ink, so that the colours speak
    strength = np.abs(drop) / max(float(np.abs(drop).max()), 1e-6)  # 0 … 1
    axes.imshow(np.sign(drop) * strength, cmap=SIGNED, vmin=-1, vmax=1, alpha=0.85 * strength**0.7)


def _frame(axes: Any, colour: str) -> None:
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=1.4)
