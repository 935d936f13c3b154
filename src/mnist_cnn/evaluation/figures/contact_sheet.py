"""What the network sees during training: digits beside their distorted copies."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_cnn.augmentation.distortion import augment
from mnist_cnn.config import AugmentationConfig
from mnist_cnn.datasets import Dataset, take_per_class
from mnist_cnn.evaluation.figures.style import MUTED, frame, show_digit, styled
from mnist_cnn.reading.conventions import IMAGE_SIZE

COPIES = 11  # distorted copies of each digit

_TILE = 0.62  # inches


def draw_contact_sheet(dataset: Dataset, config: AugmentationConfig, seed: int) -> Figure:
    """Draw one digit of each class and `COPIES` distortions of it."""
    chosen = take_per_class(dataset, 1, seed)
    originals = chosen.images[np.argsort(chosen.labels)]
    copies = augment(np.repeat(originals, COPIES, axis=0), config, np.random.default_rng(seed))
    active = {name: value for name, value in vars(config).items() if value}
    if not config.elastic:
        active.pop("elastic_smoothness", None)
    caption = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in active.items())
    return _draw(originals, copies.reshape(len(originals), COPIES, IMAGE_SIZE, IMAGE_SIZE), caption)


@styled
def _draw(originals: NDArray[np.uint8], distorted: NDArray[np.uint8], caption: str) -> Figure:
    """Show each original, uint8 [n, 28, 28], at the head of a row of its copies, uint8 [n, m, 28, 28]."""
    rows, copies = distorted.shape[:2]
    figure = Figure(figsize=((copies + 1.4) * _TILE, rows * _TILE + 0.6))
    widths = [1.0, 0.15, *[1.0] * copies]  # a gap sets the originals apart
    grid = figure.subplots(rows, copies + 2, squeeze=False, width_ratios=widths)
    for (original, gap, *others), image, variants in zip(grid, originals, distorted, strict=True):
        gap.set_axis_off()
        show_digit(original, image)
        frame(original, MUTED)
        for axes, variant in zip(others, variants, strict=True):
            show_digit(axes, variant)
    grid[0, 0].set_title("original", loc="center", fontsize=8, pad=4.8)
    # Not a title: one that extends over the next tiles would push them away.
    place = {"transform": grid[0, 2].transAxes, "in_layout": False}
    grid[0, 2].text(0, 1.12, "as the network sees it", fontsize=8, weight="bold", **place)
    figure.supxlabel(caption, fontsize=7.5, color=MUTED, x=0.01, ha="left")
    return figure
