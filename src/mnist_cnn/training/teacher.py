"""Distillation: a small network learns from the answers of larger ones, not from the labels alone.

Hinton, Vinyals & Dean 2015. A wrong answer's probability says which digit an image resembles, and that is more to
learn from than one label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import InputError
from mnist_cnn.model_files import open_model
from mnist_cnn.training.batches import Teacher

_BATCH = 256  # images asked about at once


def open_teacher(paths: Sequence[str], classes: int) -> Teacher | None:
    """Open trained networks that answer together: the mean of their probabilities; None where there are none.

    Args:
        paths: Run folders or `.keras` files.
        classes: How many they must tell apart.

    Raises:
        InputError: A model that cannot be opened, or one for another number of classes.
    """
    if not paths:
        return None
    models = [open_model(Path(path)) for path in paths]
    for path, model in zip(paths, models, strict=True):
        if model.output_shape[-1] != classes:
            raise InputError(
                f"the teacher {path} tells {model.output_shape[-1]} classes apart, the data have {classes}. "
                "Name one that was trained on the same classes."
            )

    def teacher(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = [model.predict(images, batch_size=_BATCH, verbose=0) for model in models]
        return np.asarray(np.mean(answers, axis=0), dtype=np.float32)

    return teacher
