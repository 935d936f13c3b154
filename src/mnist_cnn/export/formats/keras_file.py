"""Keras' own format, with the metadata as one more member of its archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mnist_cnn.export.check import Reader
from mnist_cnn.export.metadata_files import attach
from mnist_cnn.export.original import Original
from mnist_cnn.models.persistence import open_model

stamp = attach


def write(original: Original, path: Path) -> None:
    """Write the model, not compiled; `path` ends in `.keras`."""
    original.model.save(path)


def open_reader(path: Path) -> Reader:
    """Open the file in Keras, in safe mode."""
    model = open_model(path)
    return lambda images: np.asarray(model.predict_on_batch(images), np.float32)
