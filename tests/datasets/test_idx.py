from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mnist_cnn.datasets.idx import idx_checksum, read_idx, write_idx
from mnist_cnn.errors import DataError, InputError

DTYPES = st.sampled_from(["uint8", "int8", "int16", "int32", "float32", "float64"])
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=4, max_side=5, min_side=0)))
SUFFIXES = st.sampled_from(["", ".gz"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@given(array=ARRAYS, suffix=SUFFIXES)
def test_what_is_written_is_read_back(folder: Path, array: np.ndarray, suffix: str) -> None:
    path = folder / f"round{suffix}"
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@given(array=ARRAYS, suffix=SUFFIXES, data=st.data())
def test_a_truncated_file_is_refused(folder: Path, array: np.ndarray, suffix: str, data: st.DataObject) -> None:
    path = folder / f"short{suffix}"
    write_idx(path, array)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    head=st.sampled_from([b"", b"\0\0\x08\x03", b"\0\0\x0e\x01", b"\x1f\x8b\x08\0"]),
    tail=st.binary(max_size=64),
)
def test_garbage_raises_nothing_but_data_error(folder: Path, head: bytes, tail: bytes) -> None:
    path = folder / "garbage"
    path.write_bytes(head + tail)
    with contextlib.suppress(DataError):
        read_idx(path)


@given(position=st.integers(0, 200), value=st.integers(0, 255))
def test_a_flipped_byte_in_a_gzip_raises_nothing_but_data_error(folder: Path, position: int, value: int) -> None:
    content = bytearray(gzip.compress(b"\0\0\x08\x01\0\0\x01\0" + bytes(range(256)), mtime=0))
    content[position] = value
    path = folder / "flipped.gz"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        read_idx(path)


def test_trailing_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"\0\0\x08\x01\0\0\0\x02" + b"abc")
    with pytest.raises(DataError, match="more than the 2 bytes"):
        read_idx(tmp_path / "long")


def test_a_wrong_magic_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"<html>403</html>")
    with pytest.raises(DataError, match="3c 68 74 6d, where MNIST's images start with 00 00 08 03"):
        read_idx(tmp_path / "page")


@pytest.mark.parametrize("count", [2**20, 2**32 - 1])
def test_a_huge_declared_size_costs_no_memory(tmp_path: Path, count: int) -> None:
    header = b"\0\0\x08\x03" + count.to_bytes(4, "big") + (1000).to_bytes(4, "big") * 2
    (tmp_path / "bomb").write_bytes(header + b"x")
    with pytest.raises(DataError, match=r"declares [\d,]+ bytes"):
        read_idx(tmp_path / "bomb")


def test_a_gzip_bomb_is_cut_off_at_the_declared_size(tmp_path: Path) -> None:
    content = b"\0\0\x08\x01\0\0\0\x02" + bytes(50_000_000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="more than the 2 bytes"):
        read_idx(tmp_path / "bomb.gz")


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="directory"):
        read_idx(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_an_unreadable_file_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(mode=0)
    with pytest.raises(DataError, match="Permission"):
        read_idx(tmp_path / "secret")


def test_types_that_idx_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="IDX cannot hold int64"):
        write_idx(tmp_path / "x", np.zeros(3, np.int64))
    with pytest.raises(InputError, match="0 dimensions"):
        write_idx(tmp_path / "x", np.array(1, np.uint8))


@given(array=ARRAYS)
def test_the_checksum_is_that_of_the_uncompressed_file(folder: Path, array: np.ndarray) -> None:
    write_idx(folder / "sum", array)
    assert idx_checksum(array) == hashlib.sha256((folder / "sum").read_bytes()).hexdigest()
