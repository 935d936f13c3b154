from __future__ import annotations

import numpy as np

from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.bundled_digits import enlarge, load_digits


def test_all_digits_look_like_mnist() -> None:
    digits = load_digits()
    assert len(digits) == 1797
    assert np.bincount(digits.labels).min() > 170
    assert (digits.images.max(axis=(1, 2)) == 255).mean() > 0.99
    margin = digits.images.copy()
    margin[:, 1:-1, 1:-1] = 0
    assert margin.any(axis=(1, 2)).mean() < 0.01  # the 20×20 box, moved by its mass, rarely touches the edge
    weights = digits.images.astype(float)
    rows = (weights * np.arange(28)[:, None]).sum((1, 2)) / weights.sum((1, 2))
    columns = (weights * np.arange(28)).sum((1, 2)) / weights.sum((1, 2))
    assert np.abs(rows - 14).max() < 1.5
    assert np.abs(columns - 14).max() < 1.5


def test_a_stroke_keeps_its_place_and_strength() -> None:
    image = np.zeros((8, 8))
    image[:, 3:5] = 16
    large = enlarge(image)
    assert large[14, 14] == 255
    assert large[:, :9].max() == 0
    assert 19 <= np.ptp(np.nonzero(large[:, 14])[0]) + 1 <= 22


def test_a_fifth_is_the_test_set() -> None:
    train, test = (load_dataset("digits", split=split) for split in ("train", "test"))
    assert (len(train), len(test), len(load_dataset("digits", split="all"))) == (1438, 359, 1797)
    assert train.notice == ""
