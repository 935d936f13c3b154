from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.image_folder import read_folder
from mnist_cnn.errors import DataError
from mnist_cnn.reading.ink import prepare


def save(path: Path, image: Image.Image | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or Image.new("L", (28, 28), 7)).save(path)
    return path


def cross(row: int) -> Image.Image:
    image = Image.new("L", (60, 60), 255)
    image.paste(0, (27, 5, 33, 55))
    image.paste(0, (12, row, 48, row + 6))
    return image


def test_train_and_test_folders_are_the_split(tmp_path: Path) -> None:
    for part, names in (("train", "ab"), ("test", "b")):
        for name in names:
            save(tmp_path / part / name / "a.png")
    (tmp_path / "test" / "b" / "notes.txt").write_text("notes")
    (tmp_path / "test" / "b" / ".hidden.png").write_text("notes")
    test = load_dataset(tmp_path, split="test")
    assert (test.split, test.class_names, test.labels.tolist()) == ("test", ("a", "b"), [1])
    save(tmp_path / "test" / "c" / "a.png")
    with pytest.raises(DataError, match=r"test/c is not a class of the training images, whose classes are a, b\."):
        load_dataset(tmp_path, split="test")


def test_without_a_split_a_fixed_fifth_is_held_out(tmp_path: Path) -> None:
    for label in range(2):
        for index in range(10):
            save(tmp_path / str(label) / f"{index}.png", cross(5 + 2 * (10 * label + index)))
    train, test, again = (load_dataset(tmp_path, split=split) for split in ("train", "test", "train"))
    np.testing.assert_array_equal(train.images, again.images)
    assert len({image.tobytes() for part in (train, test) for image in part.images}) == 20
    assert test.labels.tolist() == [0, 0, 1, 1]


def test_images_are_prepared_as_they_are_for_reading(tmp_path: Path) -> None:
    path = save(tmp_path / "1" / "a.png", cross(20))
    np.testing.assert_array_equal(read_folder(tmp_path, "train").images[0], prepare(path).image)


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    save(tmp_path / "0" / "good.png")
    (tmp_path / "0" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(DataError, match=r"0/bad\.png cannot be read"):
        read_folder(tmp_path, "train")


def test_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no class folders"):
        read_folder(tmp_path, "train")
    (tmp_path / "0").mkdir()
    with pytest.raises(DataError, match=r"0 has no images of class '0': found nothing\. Expected one subfolder"):
        read_folder(tmp_path, "train")
