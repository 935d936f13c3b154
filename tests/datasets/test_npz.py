from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.arrays import as_images
from mnist_cnn.errors import DataError
from mnist_cnn.reading.conventions import IMAGE_SHAPES

IMAGES = np.arange(20 * 784, dtype=np.uint32).reshape(20, 28, 28).astype(np.uint8)
LABELS = np.arange(20) % 10


class Trap:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a pickle was loaded",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("npz")


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("images", "labels")])
def test_the_names_of_an_unsplit_set_are_known(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays: dict[str, Any] = dict(zip(names, (IMAGES, LABELS), strict=True))
    np.savez(tmp_path / "a.npz", allow_pickle=False, **arrays)
    found = load_dataset(tmp_path / "a.npz", split="all")
    np.testing.assert_array_equal(found.images, IMAGES)
    assert (str(found.labels.dtype), found.labels.tolist()) == ("int64", LABELS.tolist())


@pytest.mark.parametrize(
    ("names", "others"),
    [
        (("x_train", "y_train"), []),
        (("X_train", "y_train"), ["x_test"]),
        (("train_images", "train_labels"), ["x_val", "y_val"]),
    ],
)
def test_a_training_set_alone_is_divided_with_a_notice(
    tmp_path: Path, names: tuple[str, str], others: list[str]
) -> None:
    arrays: dict[str, Any] = {names[0]: np.repeat(IMAGES, 5, 0), names[1]: np.repeat(LABELS, 5)}
    arrays |= dict.fromkeys(others, np.array([Trap()]))
    path = tmp_path / "a.npz"
    np.savez(path, allow_pickle=True, **arrays)
    train, test = (load_dataset(path, split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (80, 20)
    assert (
        train.notice
        == f"{path} has only {', '.join(sorted([*names, *others]))}: a fixed fifth of {names[0]} is the test set"
    )


def test_only_the_wanted_split_is_read_and_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = np.array([Trap()])
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=trap, y_test=trap, allow_pickle=True)
    assert len(load_dataset(tmp_path / "a.npz", split="train")) == 20
    with pytest.raises(DataError, match="Python objects, which are never loaded"):
        load_dataset(tmp_path / "a.npz", split="test")


def test_unknown_names_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pictures=IMAGES)
    with pytest.raises(DataError, match="contains pictures; expected x_train"):
        load_dataset(tmp_path / "a.npz")


def test_a_header_that_claims_too_much_costs_no_memory(tmp_path: Path) -> None:
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x.npy", member.getvalue())
        archive.writestr("y.npy", b"")
    with pytest.raises(DataError, match="declares 1,099,511,627,776 bytes"):
        load_dataset(tmp_path / "bomb.npz")


@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_flipped_byte_raises_nothing_but_data_error(folder: Path, position: int, value: int) -> None:
    path = folder / "flip.npz"
    np.savez(path, x=IMAGES[:2], y=LABELS[:2])
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        load_dataset(path, split="all")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 8, 8)), r"shape \(5, 8, 8\), expected \(n, 28, 28\)"),
        (np.full((1, 28, 28), 256), r"range from 256 to 256, .* Scale them to that range and round them\."),
        (np.full((1, 28, 28), np.nan), "range from nan"),
        (np.full((1, 28, 28), 0.5), r"fractions, expected whole numbers from 0 to 255\. Multiply by 255"),
        (np.full((1, 28, 28), "a"), "of type <U1"),
        (np.eye(28)[None], r"pixels range from 0 to 1, expected 0 to 255\. Multiply by 255\."),
    ],
)
def test_arrays_that_are_not_images_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_images(array, "here")


@pytest.mark.parametrize("layout", IMAGE_SHAPES)
def test_every_layout_is_accepted(layout: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(as_images(IMAGES.reshape(20, *layout).astype(float), "here"), IMAGES)
