"""A small data set and a small network, so that every test here takes a moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evaluation.small_network import HISTORY, build_network
from mnist_cnn.config import parse_config, save_config
from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.evaluation.predictions import Predictions
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    import keras


@pytest.fixture(scope="session")
def digits() -> Dataset:
    from sklearn.datasets import load_digits

    source = load_digits()
    large = np.kron(source.images[:200] * (255 / 16), np.ones((1, 3, 3)))  # from [n, 8, 8] in 0 … 16
    images = np.pad(large, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)  # [n, 28, 28]
    return Dataset("digits", "test", images, source.target[:200].astype(np.int64), DIGIT_NAMES, "scikit-learn")


@pytest.fixture(scope="session")
def network(digits: Dataset) -> keras.Model:
    """Trained for a moment, so that it gets some digits right and some wrong."""
    model = build_network()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(digits.images[:100, ..., np.newaxis], digits.labels[:100], epochs=4, batch_size=20, verbose=0)
    return model


@pytest.fixture(scope="session")
def said(network: keras.Model, digits: Dataset) -> Predictions:
    from mnist_cnn.evaluation.predictions import predict

    return predict(network, digits)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory, network: keras.Model) -> Callable[..., RunFolder]:
    """Return a function that makes a finished run folder with some settings."""

    def make(name: str = "tiny-001", **training: object) -> RunFolder:
        run = RunFolder(tmp_path_factory.mktemp("runs") / name)
        run.root.mkdir()
        settings = {"title": "A tiny one", "training": {"epochs": 5, "keep": "best", **training}}
        save_config(run.config, parse_config(settings, name))
        run.history_json.write_text(json.dumps(HISTORY))
        run.environment.write_text(json.dumps({"python": "3.12", "versions": {"keras": "3"}}))
        network.save(run.model)
        return run

    return make
