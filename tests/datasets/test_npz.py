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
from mnist_cnn.datasets.npz import as_images, as_labels, read_npz
from mnist_cnn.errors import DataError

IMAGES = np.arange(20 * 784, dtype=np.uint32).reshape(20, 28, 28).astype(np.uint8)
LABELS = np.arange(20) % 10


class Trap:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a pickle was loaded",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("npz")


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels")])
def test_both_unsplit_namings_are_read(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays: dict[str, Any] = {names[0]: IMAGES, names[1]: LABELS}
    np.savez(tmp_path / "a.npz", allow_pickle=False, **arrays)
    images, labels = read_npz(tmp_path / "a.npz", "train")
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert labels.dtype == np.int64


@pytest.mark.parametrize("names", [("x_train", "y_train"), ("X_train", "y_train"), ("train_images", "train_labels")])
@pytest.mark.parametrize("others", [[], ["x_test"], ["x_val", "y_val"]])
def test_a_training_set_alone_is_divided_aloud(tmp_path: Path, names: tuple[str, str], others: list[str]) -> None:
    arrays: dict[str, Any] = {names[0]: np.repeat(IMAGES, 5, 0), names[1]: np.repeat(LABELS, 5)}
    arrays |= dict.fromkeys(others, np.array([Trap()]))
    path = tmp_path / "a.npz"
    np.savez(path, allow_pickle=True, **arrays)
    train, test = (load_dataset(path, split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (80, 20)
    unread = f" (not read: {', '.join(others)})" if others else ""
    assert train.notice == (
        f"{path} holds {' and '.join(names)}, but no test set{unread}: a fixed fifth of the images is held out as one"
    )


def test_only_the_wanted_split_is_read(tmp_path: Path) -> None:
    trap = np.array([Trap()])
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=trap, y_test=trap, allow_pickle=True)
    assert len(load_dataset(tmp_path / "a.npz", split="train")) == 20
    with pytest.raises(DataError, match="Python objects, which are never loaded"):
        load_dataset(tmp_path / "a.npz", split="test")


def test_other_names_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pictures=IMAGES)
    with pytest.raises(DataError, match="holds pictures; expected x_train"):
        read_npz(tmp_path / "a.npz", "train")


def test_a_header_that_claims_too_much_costs_no_memory(tmp_path: Path) -> None:
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x.npy", member.getvalue())
        archive.writestr("y.npy", b"")
    with pytest.raises(DataError, match="declares 1,099,511,627,776 bytes"):
        read_npz(tmp_path / "bomb.npz", "train")


@given(garbage=st.binary(max_size=200))
def test_garbage_raises_nothing_but_data_error(folder: Path, garbage: bytes) -> None:
    (folder / "g.npz").write_bytes(garbage)
    with pytest.raises(DataError) as caught:
        read_npz(folder / "g.npz", "train")
    assert "\n" not in str(caught.value)


@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_flipped_byte_raises_nothing_but_data_error(folder: Path, position: int, value: int) -> None:
    path = folder / "flip.npz"
    np.savez(path, x=IMAGES[:2], y=LABELS[:2])
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        read_npz(path, "train")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 8, 8)), r"shape \(5, 8, 8\), expected \(n, 28, 28\)"),
        (np.full((1, 28, 28), 256), "range from 256 to 256"),
        (np.full((1, 28, 28), np.nan), "range from nan"),
        (np.full((1, 28, 28), 0.5), r"fractions, expected whole numbers from 0 to 255\. Multiply by 255"),
        (np.full((1, 28, 28), "a"), "of type <U1"),
    ],
)
def test_images_that_are_none_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_images(array, "here")


def test_flat_and_single_channel_images_are_accepted() -> None:
    for shape in [(20, 784), (20, 28, 28, 1), (20, 28, 28)]:
        np.testing.assert_array_equal(as_images(IMAGES.reshape(shape).astype(float), "here"), IMAGES)


def test_one_hot_labels_are_refused() -> None:
    with pytest.raises(DataError, match="expected \\(n,\\) class numbers"):
        as_labels(np.eye(10), "here")
