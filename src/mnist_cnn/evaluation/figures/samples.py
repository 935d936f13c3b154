"""Pictures that show images: samples, errors, class means, filters, and what a prediction depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_cnn.evaluation.figures.style import (
    INK,
    RIGHT,
    SIGNED,
    WRONG,
    bare,
    frame,
    image_grid,
    shorten,
    show_digit,
    styled,
)
from mnist_cnn.reading.conventions import IMAGE_SIZE

MOST_FILTERS = 64  # drawn

Images = NDArray[np.uint8]  # [n, 28, 28]
Classes = NDArray[np.int64]  # [n]


@styled
def sample_predictions(images: Images, labels: Classes, predicted: Classes, class_names: Sequence[str]) -> Figure:
    """Show images with their true and predicted class; a wrong one stands out by colour, frame and sign."""
    figure, tiles = image_grid(len(images), columns=8, tile=1.0, caption=0.34)
    names = [shorten(name, 11) for name in class_names]
    for axes, image, label, guess in zip(tiles, images, labels, predicted, strict=True):
        colour, sign = (RIGHT, "✓") if label == guess else (WRONG, "✗")
        show_digit(axes, image)
        frame(axes, colour, 1.4)
        _caption(axes, f"{sign} {names[guess]}\ntrue: {names[label]}", 7.5, color=colour, fontweight="normal")
    return figure


@styled
def misclassified(
    images: Images,
    labels: Classes,
    predicted: Classes,
    confidence: NDArray[np.floating[Any]],
    class_names: Sequence[str],
) -> Figure:
    """Show misclassified images in the order given: true → predicted class, and the confidence (0 … 1)."""
    long = max(map(len, class_names)) > 3
    figure, tiles = image_grid(len(images), columns=8, tile=1.0, caption=0.46 if long else 0.34)
    names = [shorten(name, 11) for name in class_names]
    for axes, image, label, guess, sure in zip(tiles, images, labels, predicted, confidence, strict=True):
        show_digit(axes, image)
        _caption(axes, (f"{names[label]}\n→ " if long else f"{names[label]} → ") + names[guess], 7.5 if long else 9)
        axes.set_xlabel(f"{100 * sure:.0f} % sure", fontsize=7.5, labelpad=2)
    return figure


@styled
def sample_grid(images: Images, labels: Classes, class_names: Sequence[str]) -> Figure:
    """Show images in rows by class; `labels` must be sorted."""
    rows, columns = len(class_names), int(np.bincount(labels).max())
    canvas = np.zeros((rows, IMAGE_SIZE, columns, IMAGE_SIZE), dtype=np.uint8)
    for row in range(rows):
        chosen = images[labels == row]
        canvas[row, :, : len(chosen)] = chosen.swapaxes(0, 1)
    names = [shorten(name) for name in class_names]
    figure = Figure(figsize=(0.5 * columns + 0.12 * max(map(len, names)) + 0.2, 0.5 * rows + 0.15))
    axes = figure.subplots()
    axes.imshow(canvas.reshape(IMAGE_SIZE * rows, IMAGE_SIZE * columns), cmap=INK, vmin=0, vmax=255)
    bare(axes)
    axes.set_yticks(IMAGE_SIZE * np.arange(rows) + (IMAGE_SIZE - 1) / 2, names, fontweight="bold")
    return figure


@styled
def mean_images(means: NDArray[np.float32], class_names: Sequence[str]) -> Figure:
    """Show the mean image of each class, [k, 28, 28] in 0 … 255."""
    figure, tiles = image_grid(len(means), columns=5, tile=1.1, caption=0.25)
    for axes, mean, name in zip(tiles, means, class_names, strict=True):
        show_digit(axes, mean)
        _caption(axes, shorten(name), 10)
    return figure


@styled
def saliency_overlays(
    images: Images, maps: NDArray[np.float32], labels: Classes, predicted: Classes, class_names: Sequence[str]
) -> Figure:
    """Show each image, and below it where hiding a patch lowers (vermilion) or raises (blue) the probability.

    Args:
        images: uint8 [n, 28, 28].
        maps: As `saliency.occlusion_maps` returns them, [n, 28, 28], each drawn on its own scale.
        labels: [n].
        predicted: [n].
        class_names: The k classes.
    """
    figure = Figure(figsize=(1.05 * len(images) + 0.4, 2.6))
    grid = figure.subplots(2, len(images), squeeze=False)
    for (top, bottom), image, drop, label, guess in zip(grid.T, images, maps, labels, predicted, strict=True):
        show_digit(top, image)
        name = class_names[guess]
        title = f"predicted {name}" if len(name) <= 3 else shorten(name, 11)
        _caption(top, title, 8, color=RIGHT if label == guess else WRONG)
        _overlay(bottom, image, drop)
        bottom.set_xlabel(f"up to −{100 * max(float(drop.max()), 0):.0f} pts", fontsize=7.5, labelpad=2)
    for axes, text in zip(grid[:, 0], ("image", "importance"), strict=True):
        axes.set_ylabel(text)
    return figure


def _overlay(axes: Axes, image: Images, drop: NDArray[np.float32]) -> None:
    show_digit(axes, image * np.float32(0.45))  # pale ink, so that the colours stand out
    strength = drop / max(float(np.abs(drop).max()), 1e-6)  # -1 … 1
    axes.imshow(strength, cmap=SIGNED, vmin=-1, vmax=1, alpha=0.85 * np.abs(strength) ** 0.7)


@styled
def first_filters(kernel: NDArray[Any]) -> Figure:
    """Draw the filters of a kernel, [h, w, inputs, filters], each on its own scale around 0.

    Several input channels are averaged. Ink under vermilion (positive) raises the response, ink under blue lowers it.
    """
    filters = np.moveaxis(kernel.mean(axis=2), -1, 0)[:MOST_FILTERS]  # [filters, h, w]
    figure, tiles = image_grid(len(filters), columns=16 if len(filters) > 24 else 8, tile=0.62, caption=0)
    for axes, each in zip(tiles, filters, strict=True):
        top = max(float(np.abs(each).max()), 1e-9)
        axes.imshow(each, cmap=SIGNED, vmin=-top, vmax=top)
        frame(axes)
    return figure


def _caption(axes: Axes, text: str, size: float, **look: Any) -> None:
    axes.set_title(text, fontsize=size, loc="center", pad=3, **look)
