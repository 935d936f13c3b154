"""Keras models on disk: written whole or not at all, opened without running code that a file may carry."""

from __future__ import annotations

from pathlib import Path

import keras

from mnist_cnn.evaluation import open_model
from mnist_cnn.files import write_whole

__all__ = ["open_model", "save_model", "save_weights"]


def save_model(model: keras.Model, path: Path) -> None:
    """Write the model in the format that the suffix names: `.keras`, or `.h5` for Keras' old one."""
    with write_whole(path) as partial:
        model.save(partial)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the weights alone; the path ends in `.weights.h5`."""
    with write_whole(path) as partial:
        model.save_weights(partial)
