"""Digits, and one linear network in a file of this project's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.datasets import DIGIT_NAMES, load_dataset
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.recognizer import Recognizer
from reading.recognizer import linear

TEMPERATURE = 1.7


@pytest.fixture(scope="session")
def digits() -> NDArray[np.uint8]:
    """uint8 [200, 28, 28] of scikit-learn's bundled digits, their border empty."""
    images = load_dataset("digits", split="all").images
    full = images[:, [0, -1]].any(axis=(1, 2)) | images[:, :, [0, -1]].any(axis=(1, 2))
    return images[~full][:200]


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linear network, with metadata."""
    metadata = ModelMetadata(DIGIT_NAMES, temperature=TEMPERATURE, rejection_threshold=0.4)
    path = tmp_path_factory.mktemp("model") / "linear.onnx"
    path.write_bytes(linear.make(grey_levels=True, metadata=metadata.to_strings()))
    return path


@pytest.fixture(scope="session")
def recognizer(model_file: Path) -> Recognizer:
    """A recogniser with that network, on three threads."""
    return Recognizer.load(model_file, threads=3)
