"""A few images of the user's own, added to a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datasets.idx_files import write_idx
from mnist_cnn.datasets import Dataset, blend, load_addition
from mnist_cnn.datasets.dataset import DIGIT_NAMES
from mnist_cnn.errors import InputError


def write(folder: Path, label: str, count: int) -> None:
    """Save images in MNIST's form, each one grey level brighter than the last."""
    (folder / label).mkdir(parents=True)
    for index in range(count):
        image = np.zeros((28, 28), np.uint8)
        image[4:24, 10:18] = 220 + index
        Image.fromarray(image).save(folder / label / f"{index:02}.png")


def dataset_of(count: int, level: int) -> Dataset:
    images = np.full((count, 28, 28), level, np.uint8)
    return Dataset("mnist", "train", images, np.arange(count) % 10, DIGIT_NAMES, "here")


@pytest.mark.parametrize("count", [1, 5])
def test_all_images_are_used_with_the_data_sets_classes(tmp_path: Path, count: int) -> None:
    write(tmp_path, "7", count)
    write(tmp_path, "1", 1)
    added = load_addition(tmp_path, DIGIT_NAMES)
    assert added.class_names == DIGIT_NAMES
    assert added.labels.tolist() == [1, *[7] * count]
    assert added.images.max(axis=(1, 2)).tolist() == [220, *range(220, 220 + count)]


def test_test_images_are_not_added(tmp_path: Path) -> None:
    write(tmp_path / "train", "7", 2)
    write(tmp_path / "test", "7", 3)
    assert len(load_addition(tmp_path, DIGIT_NAMES)) == 2


def test_skipped_files_are_named(tmp_path: Path) -> None:
    write(tmp_path / "train", "7", 1)
    write(tmp_path / "test", "7", 1)
    assert not load_addition(tmp_path, DIGIT_NAMES).notice
    notes = tmp_path / "train" / "7" / "notes.txt"
    for file in (notes, notes.with_name(".hidden"), tmp_path / "test" / "7" / "notes.txt"):
        file.write_text("no image")
    assert load_addition(tmp_path, DIGIT_NAMES).notice.startswith(f"skipped {notes}, which does not have the suffix")


def test_nothing_that_was_read_is_called_skipped(tmp_path: Path) -> None:
    write_idx(tmp_path / "train" / "images-idx3-ubyte", np.full((3, 28, 28), 9, np.uint8))
    write_idx(tmp_path / "train" / "labels-idx1-ubyte", np.arange(3, dtype=np.uint8))
    assert not load_addition(tmp_path, DIGIT_NAMES).notice


def test_a_class_that_is_not_in_the_data_set_is_named(tmp_path: Path) -> None:
    write(tmp_path, "sevn", 1)
    with pytest.raises(InputError, match=r"class 'sevn', which the data set does not have\. Did you mean 'seven'\?"):
        load_addition(tmp_path, ("one", "seven"))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no images to add at .*absent"):
        load_addition(tmp_path / "absent", DIGIT_NAMES)


@given(st.integers(10, 300), st.integers(1, 60), st.floats(0.01, 0.9))
def test_the_added_images_have_their_share_and_none_is_lost(many: int, few: int, share: float) -> None:
    added = dataset_of(few, 0)
    added.images[:, 0, 0] = np.arange(few)
    both = blend(dataset_of(many, 9), added, share)
    np.testing.assert_array_equal(both.images[:many], dataset_of(many, 9).images)
    which = both.images[many:, 0, 0]
    times = np.bincount(which, minlength=few)
    assert times.min() >= 1
    assert times.max() - times.min() <= 1
    np.testing.assert_array_equal(both.labels[many:], added.labels[which])
    assert len(both) - many == max(few, round(many * share / (1 - share)))
