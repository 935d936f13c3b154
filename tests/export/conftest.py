"""A small network, trained for a second on the bundled digits, that all tests here export."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if importlib.util.find_spec("onnx") is None:
    pytest.skip("EXPORTS NOT TESTED: pip install '.[export]'", allow_module_level=True)

if TYPE_CHECKING:
    from mnist_cnn.export.original import Original


@pytest.fixture(scope="session")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as a `.keras` file."""
    from export.networks import tiny_network
    from mnist_cnn.datasets import load_dataset
    from mnist_cnn.models.persistence import save_model

    model = tiny_network()
    digits = load_dataset("digits", split="train")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.01
    model.fit(digits.images[..., None], digits.labels, batch_size=32, epochs=3, verbose=0)
    path = tmp_path_factory.mktemp("original") / "tiny.keras"
    save_model(model, path)
    return path


@pytest.fixture(scope="session")
def original(keras_file: Path) -> Original:
    """The small network with its metadata."""
    from mnist_cnn.datasets import ResolvedDataset
    from mnist_cnn.export.original import open_original

    return open_original(keras_file, ResolvedDataset("digits"))
