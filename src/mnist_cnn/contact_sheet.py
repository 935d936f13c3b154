"""Digits of each class with what augmentation makes of them, as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.augmentation import augment
from mnist_cnn.config import AugmentationConfig
from mnist_cnn.datasets import Dataset, take_per_class
from mnist_cnn.figures import contact_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COPIES = 11  # distorted copies of each digit


def draw_contact_sheet(dataset: Dataset, config: AugmentationConfig, seed: int) -> Figure:
    """Draw one digit of each class and `COPIES` distortions of it."""
    chosen = take_per_class(dataset, 1, seed)
    originals = chosen.images[np.argsort(chosen.labels)]
    copies = augment(np.repeat(originals, COPIES, axis=0), config, np.random.default_rng(seed))
    active = {name: value for name, value in vars(config).items() if value}
    if not config.elastic:
        active.pop("elastic_smoothness", None)
    caption = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in active.items())
    return contact_sheet(originals, copies.reshape(len(originals), COPIES, 28, 28), caption)
