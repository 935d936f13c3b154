"""Keras' own format, with the metadata as an additional member of its zip archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.export.formats.format import KERAS, Format, Reader
from mnist_cnn.export.metadata_files import attach, read_attached
from mnist_cnn.files import MODEL_NAME

if TYPE_CHECKING:
    from mnist_cnn.export.original import Original


def write(original: Original, path: Path) -> None:
    """Write the model, not compiled; `path` ends in `.keras`."""
    original.model.save(path)


def open_reader(path: Path) -> Reader:
    """Open the file in Keras, in safe mode."""
    from mnist_cnn.models.persistence import open_model

    model = open_model(path)
    return lambda images: np.asarray(model.predict_on_batch(images), np.float32)


FORMATS = (Format("keras", MODEL_NAME, "Keras", (KERAS,), write, attach, read_attached, open_reader),)
