"""Third-party folder layouts: what is read, what is skipped, and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.idx_files import write_idx
from mnist_cnn.datasets import Dataset, load_dataset
from mnist_cnn.datasets.class_names import find_class, in_order, number_of
from mnist_cnn.datasets.dataset import DIGIT_NAMES
from mnist_cnn.errors import DataError
from mnist_cnn.files import part_of

STYLES = {
    "digits": [str(digit) for digit in range(10)],
    "two places": [f"{digit:02}" for digit in range(10)],
    "words": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "prefix": [f"Digit_{digit}" for digit in range(10)],
    "class": [f"class {digit}" for digit in range(10)],
}


def picture(label: int) -> Image.Image:
    """Draw a stroke in MNIST's form whose grey level is its label."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 10:18] = 220 + label
    return Image.fromarray(image)


def fill(folder: Path, names: list[str], count: int = 2, inner: str = "", suffix: str = ".png") -> None:
    """Save `count` images in each class folder; their grey level encodes its position in the list."""
    for label, name in enumerate(names):
        (folder / name / inner).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            picture(label).save(folder / name / inner / f"{index}{suffix}")


def drawn(dataset: Dataset) -> list[int]:
    """Return the label that each image was drawn as."""
    return [int(image.max()) - 220 for image in dataset.images]


def summary(path: Path) -> tuple[int, int, str]:
    train, test = (load_dataset(path, split=split) for split in ("train", "test"))
    assert train.class_names == test.class_names
    assert train.labels.tolist() == drawn(train)
    assert test.labels.tolist() == drawn(test)
    return len(train), len(test), test.notice


@pytest.mark.parametrize(
    "pattern",
    [
        "{}",
        "{}ing",
        "{0}ingSet/{0}ingSet",
        "{}_images",
        "{}set",
        "MNIST JPG format/MNIST - JPG - {}ing",
        "a/mnist/{}",
        "{}/images",
    ],
)
def test_the_usual_names_of_train_and_test_are_known(tmp_path: Path, pattern: str) -> None:
    fill(tmp_path / pattern.format("Train"), STYLES["digits"], 3)
    fill(tmp_path / pattern.format("Test"), STYLES["digits"], 2)
    assert summary(tmp_path) == (30, 20, "")
    assert len(load_dataset(tmp_path, split="all")) == 50


@pytest.mark.parametrize(("style", "other"), [*itertools.pairwise([*STYLES, "digits"])])
def test_the_parts_may_name_the_classes_in_different_styles(tmp_path: Path, style: str, other: str) -> None:
    fill(tmp_path / "train", STYLES[style], 1)
    fill(tmp_path / "test", STYLES[other], 1)
    assert summary(tmp_path) == (10, 10, "")
    assert list(load_dataset(tmp_path).class_names) == STYLES[style]


def test_images_one_level_deeper_and_in_capitals_are_found(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "all", ["a", "b"], 5, inner="images", suffix=".PNG")
    assert summary(tmp_path) == (8, 2, "")
    fill(tmp_path / "one", ["7"], 2, inner="images")
    assert load_dataset(tmp_path / "one", split="all").class_names == ("7",)


def test_leftovers_of_systems_and_archivers_are_skipped(tmp_path: Path) -> None:
    fill(tmp_path / "digits", STYLES["digits"])
    fill(tmp_path / "__MACOSX" / "digits", STYLES["digits"])
    for place in (tmp_path, tmp_path / "digits", tmp_path / "digits" / "3"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png"):
            (place / name).write_bytes(b"left behind")
    (tmp_path / "digits" / "@eaDir").mkdir()
    assert load_dataset(tmp_path, split="all").class_names == DIGIT_NAMES


def test_val_is_the_test_set_only_if_there_is_no_other(tmp_path: Path) -> None:
    fill(tmp_path / "train", STYLES["digits"], 3)
    fill(tmp_path / "val", STYLES["digits"], 1)
    assert summary(tmp_path) == (30, 10, f"{tmp_path / 'val'} serves as the test set, because there is no other")
    fill(tmp_path / "test", STYLES["digits"], 2)
    assert summary(tmp_path)[:2] == (30, 20)
    assert load_dataset(tmp_path).notice.startswith(f"skipped {tmp_path / 'val'}: validation images are held out")


def test_a_test_set_without_labels_is_skipped_and_named(tmp_path: Path) -> None:
    """As in Kaggle's "MNIST as .jpg": a labelled part, a sample of it, and unlabelled pictures."""
    fill(tmp_path / "trainingSet" / "trainingSet", STYLES["digits"], 5)
    fill(tmp_path / "trainingSample" / "trainingSample", STYLES["digits"], 1)
    fill(tmp_path / "testSet", ["testSet"], 30)
    train, test, notice = summary(tmp_path)
    assert (train, test) == (40, 10)
    assert f"skipped {tmp_path / 'testSet'}, which has images without class folders" in notice
    assert f"skipped {tmp_path / 'trainingSample'}, whose name is neither train nor test" in notice
    assert notice.endswith("a fixed fifth of the training images is held out as the test set")


def test_a_test_folder_alone_is_a_whole_test_set(tmp_path: Path) -> None:
    fill(tmp_path / "test", STYLES["digits"], 2)
    assert len(load_dataset(tmp_path, split="test")) == 20
    with pytest.raises(DataError, match="has images for testing, but none for training: expected a folder named"):
        load_dataset(tmp_path)


def test_train_may_be_a_class_beside_others(tmp_path: Path) -> None:
    fill(tmp_path, ["car", "train", "truck"])
    assert load_dataset(tmp_path, split="all").class_names == ("car", "train", "truck")


@pytest.mark.parametrize("classes", [STYLES["digits"], ["cat", "dog"]])
@pytest.mark.parametrize(("name", "inner"), [("testSet", ""), ("val", "pictures"), ("Unlabeled_images", "")])
def test_loose_pictures_of_a_part_are_not_a_class(tmp_path: Path, name: str, inner: str, classes: list[str]) -> None:
    fill(tmp_path, classes, 5)
    fill(tmp_path, [name], 3, inner=inner)
    train, test, notice = summary(tmp_path)
    assert (train, test) == (4 * len(classes), len(classes))
    assert load_dataset(tmp_path).class_names == tuple(classes)
    assert f"skipped {tmp_path / name}, which has images without class folders" in notice
    assert notice.endswith("a fixed fifth of the training images is held out as the test set")


def test_train_is_not_a_class_beside_digits(tmp_path: Path) -> None:
    fill(tmp_path, [*STYLES["digits"], "train"])
    (tmp_path / "test").mkdir()
    dataset = load_dataset(tmp_path, split="all")
    assert dataset.class_names == DIGIT_NAMES
    assert f"skipped {tmp_path / 'train'}, which has images without" in dataset.notice
    assert f"skipped {tmp_path / 'test'}, which has no images" in dataset.notice


@pytest.mark.parametrize("part", ["Testing", "val"])
def test_class_folders_beside_a_test_part_are_the_training_part(tmp_path: Path, part: str) -> None:
    fill(tmp_path, STYLES["digits"], 3)
    fill(tmp_path / part, STYLES["words"], 1)
    fill(tmp_path, ["unlabelled"], 4)
    train, test, notice = summary(tmp_path)
    assert (train, test) == (30, 10)
    assert f"skipped {tmp_path / 'unlabelled'}" in notice
    assert notice.endswith(
        f"the class folders in {tmp_path} are the training part, and {tmp_path / part} is the test part"
    )


def test_other_pictures_beside_a_test_part_are_not_the_training_part(tmp_path: Path) -> None:
    fill(tmp_path / "test", STYLES["digits"])
    fill(tmp_path, ["scans"])
    with pytest.raises(DataError, match="none for training: expected a folder named train"):
        load_dataset(tmp_path)


def test_images_of_parts_without_class_folders_are_not_taken_for_classes(tmp_path: Path) -> None:
    fill(tmp_path, ["train", "test"])
    with pytest.raises(DataError, match=r"test has no class folders: found 2 images \(0\.png, 1\.png\), expected one"):
        load_dataset(tmp_path)


def test_two_folders_for_one_part_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train", ["a", "b"])
    fill(tmp_path / "training", ["a", "b"])
    with pytest.raises(DataError, match="contains train and training, which both mean the train part"):
        load_dataset(tmp_path)


def test_an_unknown_layout_is_described(tmp_path: Path) -> None:
    fill(tmp_path / "first", STYLES["digits"])
    fill(tmp_path / "second", STYLES["digits"])
    (tmp_path / "notes").mkdir()
    with pytest.raises(
        DataError, match=r"first has no images of class 'first': found 10 folders \(0, 1, 2, …\)\."
    ) as it:
        load_dataset(tmp_path)
    assert "Expected one subfolder of images per class, optionally in folders named train and test." in str(it.value)


def test_an_empty_class_of_the_test_part_is_not_a_fault(tmp_path: Path) -> None:
    fill(tmp_path / "train", ["a", "b"])
    fill(tmp_path / "test", ["a"])
    (tmp_path / "test" / "b").mkdir()
    (tmp_path / "test" / "notes").mkdir()
    assert load_dataset(tmp_path, split="test").labels.tolist() == [0, 0]


@pytest.mark.parametrize("nested", ["each file in a folder of its own name", "one folder", "two folders", "both forms"])
@pytest.mark.parametrize("spelling", ["-", "."])
def test_idx_files_are_found_however_archives_unpack_them(tmp_path: Path, nested: str, spelling: str) -> None:
    for part, name, count in (("train", "train", 40), ("test", "t10k", 20)):
        for kind, values in (
            ("images-idx3-ubyte", np.full((count, 28, 28), 9, np.uint8)),
            ("labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10),
        ):
            file = f"{name}-{kind.replace('-idx', f'{spelling}idx')}"
            places = {
                "each file in a folder of its own name": [tmp_path / f"{name}-{kind}" / file],
                "one folder": [tmp_path / "archive" / "MNIST" / "raw" / file],
                "two folders": [tmp_path / part / file],
                "both forms": [tmp_path / file.replace("-idx", ".idx"), tmp_path / f"{name}-{kind}" / f"{name}-{kind}"],
            }[nested]
            for place in places:
                write_idx(place, values)
    assert [len(load_dataset(tmp_path, split=split)) for split in ("train", "test", "all")] == [40, 20, 60]
    assert load_dataset(tmp_path).class_names == DIGIT_NAMES


@pytest.mark.parametrize("name", ["trains", "train1", "training sample", "testimony", "0", "latest"])
def test_other_names_are_not_parts(name: str) -> None:
    assert part_of(name) is None


def test_names_of_classes_that_mean_numbers_are_sorted_by_them() -> None:
    assert in_order(["ten", "b", "a"]) == ("a", "b", "ten")
    assert in_order(["10", "9", "one"]) == ("one", "9", "10")
    assert in_order(["1", "01", "2"]) == ("01", "1", "2")
    names = ("label-7", "No. 4", "3 of 10", "", "sample001", "ثلاثة")
    assert [number_of(name) for name in names] == [7, 4, None, None, None, None]
    meant = [find_class(name, ("Cat", "dog", "DOG", "3")) for name in ("cat", "dog", "Dog", "three", "3")]
    assert meant == [0, 1, None, 3, 3]


@pytest.mark.parametrize("name", ["-", "", "_", "*", "×", "a", "-b", "class_a", "Class b", "letter a"])
def test_names_that_mean_no_class_are_not_taken_for_one(name: str) -> None:
    """Punctuation alone means nothing else, and the capitals of single letters are classes of their own."""
    assert find_class(name, ("0", "1", "+", "A", "B")) is None


def test_single_letters_and_marks_are_found_by_their_own_names() -> None:
    classes = ("+", "-", "A", "a", "b", "T-shirt/top")
    assert [find_class(name, classes) for name in (*classes, "class A", "(b)", "t_shirt_top")] == [*range(6), 2, 4, 5]
