"""Tables of images as Kaggle and OpenML keep them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.table import read_table, read_table_labels
from mnist_cnn.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 784))
LABELS = np.arange(60) % 10
PIXELS = ",".join(f"pixel{index}" for index in range(784))
NUMBERED = ",".join(map(str, range(785)))  # as pandas writes columns without names


def write(path: Path, rows: np.ndarray, header: str = "", quote: str = "") -> Path:
    lines = [",".join(f"{quote}{value}{quote}" for value in row) for row in rows]
    path.write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("header", "last"), [(f"Label,{PIXELS}", False), ("", False), (f"{PIXELS},class", True), (NUMBERED, False)]
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_the_label_is_found_and_the_rest_is_the_image(tmp_path: Path, header: str, last: bool, quote: str) -> None:
    columns = (IMAGES, LABELS[:, None]) if last else (LABELS[:, None], IMAGES)
    path = write(tmp_path / "mnist.csv", np.hstack(columns), header, quote)
    everything = load_dataset(path, split="all")
    np.testing.assert_array_equal(everything.images, IMAGES.reshape(-1, 28, 28))
    assert (everything.labels.tolist(), everything.name) == (LABELS.tolist(), "mnist")


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("mnist_train", "mnist_test"), ("Train", "val")])
def test_two_tables_are_distinguished_by_their_names(tmp_path: Path, train: str, test: str) -> None:
    rows = np.hstack([LABELS[:, None], IMAGES])
    write(tmp_path / f"{train}.csv", rows)
    write(tmp_path / f"{test}.csv", rows[:3])
    write(tmp_path / "labels.csv", rows[:, :2])
    assert [len(load_dataset(tmp_path, split=split)) for split in ("train", "test", "all")] == [60, 3, 63]
    assert len(load_dataset(tmp_path, split="test").class_names) == 10
    write(tmp_path / "more.csv", rows)
    with pytest.raises(DataError, match=r"has the tables .*more\.csv.*; expected one named train\.csv and"):
        load_dataset(tmp_path)


def test_a_table_without_labels_is_skipped_with_a_notice(tmp_path: Path) -> None:
    """As in Kaggle's "Digit Recognizer"."""
    rows = np.hstack([LABELS[:, None], IMAGES])
    write(tmp_path / "train.csv", rows, f"label,{PIXELS}")
    unlabelled = write(tmp_path / "test.csv", IMAGES, PIXELS)
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    train, test = (load_dataset(tmp_path, split=split) for split in ("train", "test"))
    assert len(train) + len(test) == 60
    assert train.notice == f"skipped {unlabelled}, which has no labels"
    with pytest.raises(DataError, match="has 784 columns, none of them a label"):
        load_dataset(unlabelled)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "has 2 columns, expected 785"),
        (f"label,{PIXELS}\n", "there are no images"),
        ("0," * 784 + "0\n1,2\n", "cannot be read as a table of numbers"),
        ("0," * 784 + "256\n", "range from 0.0 to 256.0, expected whole numbers from 0 to 255"),
        ("-1," + "9," * 783 + "0\n", "labels range from -1.0"),
    ],
)
def test_other_tables_are_refused_with_a_reason(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


def test_the_labels_can_be_read_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", np.hstack([IMAGES, LABELS[:, None]]), f"{PIXELS},class", '"')
    np.testing.assert_array_equal(read_table_labels(path), read_table(path)[1])
    empty = write(tmp_path / "empty.csv", IMAGES[:0], f"{PIXELS},class")
    assert read_table_labels(empty).shape == (0,)
