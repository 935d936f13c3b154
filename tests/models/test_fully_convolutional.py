from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.models.backend import keras
from mnist_cnn.models.fully_convolutional import build_line_network
from mnist_cnn.reading.numbers.line_network import STRIDE
from mnist_cnn.training.numbers.line_plan import LinePlan

SMALL = (4, 8, 8, 8, 16)


@pytest.mark.parametrize("width", [16, 64, 400])
def test_each_four_pixels_of_a_line_become_a_column(width: int) -> None:
    scores, boxes = build_line_network(SMALL)(np.zeros((2, 32, width, 1), np.float32))
    assert scores.shape == (2, width // STRIDE, 11)
    assert boxes.shape == (2, width // STRIDE, 4)


def test_its_size() -> None:
    assert build_line_network(LinePlan(steps=1).widths).count_params() == 1_753_423


def test_a_seed_fixes_the_weights() -> None:
    first, second, other = (build_line_network(SMALL, seed=seed).get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_answers_are_float32_in_every_precision() -> None:
    network = build_line_network(SMALL, precision="mixed_bfloat16")
    scores, boxes = network(np.zeros((1, 32, 32, 1), np.float32))
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    assert keras.backend.standardize_dtype(boxes.dtype) == "float32"
    assert network.layers[1].compute_dtype == "bfloat16"


def test_training_drops_whole_channels() -> None:
    network = build_line_network(SMALL, dropout=0.5)
    dropout = next(layer for layer in network.layers if layer.name.startswith("dropout"))
    kept = np.asarray(dropout(np.ones((3, 1, 8, 16), np.float32), training=True)) > 0
    assert (kept == kept[:, :, :1]).all()
    assert 0 < kept.mean() < 1


def test_what_is_far_along_the_line_does_not_matter() -> None:
    """So that a line may be of any length, and have any paper beside it."""
    network = build_line_network(SMALL)
    line = np.random.default_rng(0).random((1, 32, 240, 1), np.float32)
    changed = line.copy()
    changed[:, :, 160:] = 0
    first, second = (np.asarray(network(each)[0]) for each in (line, changed))
    np.testing.assert_allclose(first[:, : 100 // STRIDE], second[:, : 100 // STRIDE], atol=1e-5)
    assert not np.allclose(first[:, 160 // STRIDE :], second[:, 160 // STRIDE :], atol=1e-5)
