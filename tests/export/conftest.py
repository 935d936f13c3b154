"""One small network, trained for a second on the bundled digits, as what is exported in all tests here."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="EXPORTS NOT TESTED: pip install '.[export]'")

from export.networks import tiny_network
from mnist_cnn.datasets import ResolvedDataset, load_dataset
from mnist_cnn.export.original import Original, open_original
from mnist_cnn.models.persistence import save_model


@pytest.fixture(scope="session")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as a `.keras` file."""
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
    """The small network with all that is known of it."""
    return open_original(keras_file, ResolvedDataset("digits"))
