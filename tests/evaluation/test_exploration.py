from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.evaluation import exploration


def dataset(images: NDArray[np.uint8], labels: list[int], split: str = "train") -> Dataset:
    return Dataset("few", split, images, np.array(labels, dtype=np.int64), ("a", "b", "c"), "test")


def noise(n: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def test_pixel_statistics_agree_with_numpy_on_all_pixels(digits: Dataset) -> None:
    found = exploration.pixel_statistics(digits.images)
    pixels = digits.images.astype(float)
    assert found.mean == pytest.approx(pixels.mean())
    assert found.std == pytest.approx(pixels.std())
    assert found.share_of_zero == pytest.approx((pixels == 0).mean())
    for share, value in found.quantiles.items():
        assert value == np.quantile(digits.images[digits.images > 0], float(share), method="inverted_cdf")


def test_ink_extent_of_one_square() -> None:
    image = np.zeros((2, 28, 28), dtype=np.uint8)
    image[0, 4:10, 3:23] = 9  # 6 high, 20 wide, its centre at (6.5, 12.5)
    found = exploration.ink_extent(image)
    assert (found.width, found.height, found.blank) == (20, 6, 1)
    assert found.offset == pytest.approx(np.hypot(7, 1))


def test_blank_images_have_neither_extent_nor_ink() -> None:
    blank = np.zeros((3, 28, 28), dtype=np.uint8)
    found = exploration.ink_extent(blank)
    assert (found.width, found.blank) == (0, 3)
    assert exploration.pixel_statistics(blank).quantiles["0.5"] == 0


def test_duplicates_are_found_within_and_across_splits() -> None:
    train = noise(5)
    train[3] = train[1]  # a copy with the same label
    test = noise(4, seed=1)
    test[0], test[2] = train[1], train[4]  # one with the same label, one with another
    test[3], test[3, 27, 27] = train[0], train[0, 27, 27] ^ 1  # not a duplicate: one pixel differs
    found = exploration.find_duplicates(
        {"train": dataset(train, [0, 1, 2, 1, 0]), "test": dataset(test, [1, 0, 2, 0], "test")}
    )
    assert found.groups == ((("train", 1), ("train", 3), ("test", 0)), (("train", 4), ("test", 2)))
    assert found.within == {"train": 1, "test": 0}
    assert found.across == 2
    assert found.conflicting == 1


def test_class_means_agree_with_a_loop_and_are_zero_for_an_absent_class() -> None:
    images = noise(4)
    means = exploration.class_means(dataset(images, [0, 1, 0, 1]))
    np.testing.assert_allclose(means[1], (images[1].astype(float) + images[3]) / 2, rtol=1e-6)
    assert not means[2].any()


def test_exploration_writes_numbers_and_pictures(tmp_path: Path, digits: Dataset) -> None:
    train, test = digits.subset(np.arange(150)), digits.subset(np.arange(100, 200))
    found = exploration.write_exploration(tmp_path, train, test)
    assert found.class_counts["train"] == [int((train.labels == label).sum()) for label in range(10)]
    assert found.duplicates.across == 50
    plain = json.loads((tmp_path / "exploration.json").read_text())
    assert plain["class_names"] == list(DIGIT_NAMES)
    assert plain["duplicates"]["across"] == 50
    assert {path.name for path in tmp_path.iterdir()} == {
        "exploration.json", "class-distribution.png", "samples.png", "mean-images.png",
    }  # fmt: skip
