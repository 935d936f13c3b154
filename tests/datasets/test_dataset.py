"""Labels and classes: as many classes as there are, no label folded onto another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.idx_files import write_idx
from mnist_cnn.datasets import Dataset, load_dataset
from mnist_cnn.datasets.dataset import DIGIT_NAMES
from mnist_cnn.errors import DataError


def save(folder: Path, form: str, labels: np.ndarray, test_labels: np.ndarray | None = None) -> Path:
    """Save images with these labels as an `.npz` or as IDX files."""
    parts = {"train": labels} | ({} if test_labels is None else {"test": test_labels})
    images = {part: np.full((len(each), 28, 28), 9, np.uint8) for part, each in parts.items()}
    if form == "npz":
        arrays: dict[str, Any] = {"x": images["train"], "y": labels} if len(parts) == 1 else {}
        for part in parts if len(parts) == 2 else ():
            arrays |= {f"x_{part}": images[part], f"y_{part}": parts[part]}
        np.savez(folder / "own.npz", allow_pickle=False, **arrays)
        return folder / "own.npz"
    for part, each in parts.items():
        write_idx(folder / f"{part}-images-idx3-ubyte", images[part])
        write_idx(folder / f"{part}-labels-idx1-ubyte", each)
    return folder


@pytest.mark.parametrize("form", ["npz", "idx"])
@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([0, 1, 2, 2, 1, 0], ("0", "1", "2")),
        ([3, 5, 8, 8, 5, 3], ("3", "5", "8")),
        ([*range(1, 13)], tuple(map(str, range(1, 13)))),
    ],
)
@pytest.mark.parametrize("dtype", ["u1", "i4", "f4"])
def test_the_classes_are_those_that_occur(
    tmp_path: Path, form: str, labels: list[int], names: tuple[str, ...], dtype: str
) -> None:
    found = load_dataset(save(tmp_path, form, np.array(labels, dtype)), split="all")
    assert found.class_names == names
    assert [int(found.class_names[label]) for label in found.labels] == labels
    assert found.labels.dtype == np.int64


@pytest.mark.parametrize("form", ["npz", "idx"])
def test_a_test_set_is_numbered_as_the_training_images_are(tmp_path: Path, form: str) -> None:
    path = save(tmp_path, form, np.array([3, 5, 8], np.uint8), np.array([8, 3], np.uint8))
    test = load_dataset(path, split="test")
    assert (test.class_names, test.labels.tolist()) == (("3", "5", "8"), [2, 0])
    save(tmp_path, form, np.array([3, 5, 8], np.uint8), np.array([8, 4], np.uint8))
    with pytest.raises(DataError, match="label 4 of the test images is not a class of the training images"):
        load_dataset(path, split="test")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(10)[:3], r"shape \(3, 10\), expected \(n,\) class numbers\. Save numpy\.argmax\(labels, axis=1\)"),
        (
            np.array([-1, 0, 1]),
            r"labels range from -1 to 1, expected whole numbers from 0 to 65535\. Number the classes from 0\.",
        ),
        (np.array([0.5, 0, 1]), r"labels are fractions, .*\. Number the classes from 0\.$"),
        (np.array(["a", "b", "c"]), "labels are of type <U1"),
        (np.array([0, np.nan, 1]), "labels range from nan"),
        (np.array([True, False, True]), "labels are of type bool"),
    ],
)
def test_labels_that_are_not_class_numbers_are_refused(tmp_path: Path, labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(save(tmp_path, "npz", labels))


def dataset(labels: list[int], names: tuple[str, ...]) -> Dataset:
    return Dataset("own", "all", np.zeros((len(labels), 28, 28), np.uint8), np.array(labels), names, "here")


def test_a_checksum_distinguishes_labels_above_255() -> None:
    names = tuple(map(str, range(1000)))
    sums = {dataset(labels, names).checksum() for labels in ([0, 44], [0, 300], [0, 556], [256, 44], [44, 0])}
    assert len(sums) == 5


def test_a_checksum_of_few_classes_is_over_bytes() -> None:
    expected = hashlib.sha256(bytes(2 * 784) + bytes([3, 1])).hexdigest()
    assert dataset([3, 1], DIGIT_NAMES).checksum() == expected


def test_labels_are_numbered_as_another_data_set_does() -> None:
    own = dataset([0, 1, 1], ("seven", "2"))
    assert own.with_classes(DIGIT_NAMES).labels.tolist() == [7, 2, 2]
    with pytest.raises(DataError, match="class 'seven', which the data set does not have"):
        own.with_classes(("1", "2"))
