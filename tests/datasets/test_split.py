from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cnn.datasets import DIGIT_NAMES, Dataset, split_validation, take_per_class
from mnist_cnn.datasets.split import hold_out_test
from mnist_cnn.errors import InputError


def dataset_of(labels: np.ndarray, notice: str = "") -> Dataset:
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, :2] = np.stack(np.divmod(np.arange(len(labels)), 256), axis=1)  # the index of each
    return Dataset("d", "train", images, labels.astype(np.int64), DIGIT_NAMES, "memory", notice)


def indices(dataset: Dataset) -> list[int]:
    return [int(high) * 256 + int(low) for high, low in dataset.images[:, 0, :2]]


@settings(max_examples=50)
@given(per_class=st.integers(5, 40), fraction=st.floats(0.2, 0.8), seed=st.integers(0, 2**32 - 2))
def test_parts_are_exact_disjoint_stratified_and_repeatable(per_class: int, fraction: float, seed: int) -> None:
    whole = dataset_of(np.arange(10 * per_class) % 10, "loud")
    train, validation = split_validation(whole, fraction, seed)
    assert validation is not None
    assert len(validation) == round(10 * per_class * fraction)
    assert sorted(indices(train) + indices(validation)) == list(range(10 * per_class))
    counts = np.bincount(validation.labels, minlength=10)
    assert np.ptp(counts) <= 1
    assert (train.split, validation.split, train.notice) == ("train", "validation", "loud")
    again, other = (split_validation(whole, fraction, each)[1] for each in (seed, seed + 1))
    assert again is not None
    assert other is not None
    assert indices(other) != indices(again)
    assert indices(again) == indices(validation) == sorted(indices(validation))


def test_a_fraction_of_0_means_no_validation() -> None:
    whole = dataset_of(np.arange(20) % 10)
    assert split_validation(whole, 0, 1) == (whole, None)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 20, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="validation fraction is"):
        split_validation(dataset_of(np.arange(20) % 10), fraction, 1)


@pytest.mark.parametrize(("labels", "fraction"), [([0, 0, 0, 1], 0.5), ([*range(10)] * 2, 0.05), ([0, 1] * 2, 0.7)])
def test_classes_too_small_are_refused(labels: list[int], fraction: float) -> None:
    with pytest.raises(InputError, match=f"{fraction} of the {len(labels)} images of memory cannot be held out: The"):
        split_validation(dataset_of(np.array(labels)), fraction, 1)


def test_the_held_out_test_set_is_the_rest_of_train() -> None:
    whole = dataset_of(np.arange(100) % 10)
    train, test = (hold_out_test(whole, split) for split in ("train", "test"))
    assert (train.split, test.split) == ("train", "test")
    assert len(test) == 20
    assert sorted(indices(train) + indices(test)) == list(range(100))


def test_the_same_number_is_taken_of_each_class() -> None:
    whole = dataset_of(np.arange(200) % 10)
    few = take_per_class(whole, 7, 3)
    assert np.bincount(few.labels).tolist() == [7] * 10
    assert indices(few) == indices(take_per_class(whole, 7, 3)) == sorted(set(indices(few)))
    assert indices(few) != indices(take_per_class(whole, 7, 4))


@pytest.mark.parametrize("count", [0, 21])
def test_a_count_above_the_size_of_a_class_is_refused(count: int) -> None:
    with pytest.raises(InputError, match="valid are 1 to 20, the size of class '0' in memory"):
        take_per_class(dataset_of(np.arange(200) % 10), count, 1)
