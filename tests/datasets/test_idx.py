from __future__ import annotations

import contextlib
import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datasets.idx_files import CODES, idx_bytes
from mnist_cnn.datasets.idx import idx_checksum, read_idx
from mnist_cnn.errors import DataError

ARRAYS = st.sampled_from(sorted(CODES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=4, max_side=5, min_side=0))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@given(array=ARRAYS, packed=st.booleans(), data=st.data())
def test_a_whole_file_is_read_and_a_truncated_one_refused(
    folder: Path, array: np.ndarray, packed: bool, data: st.DataObject
) -> None:
    content, path = idx_bytes(array), folder / "file"
    assert idx_checksum(array) == hashlib.sha256(content).hexdigest()
    whole = gzip.compress(content, 1) if packed else content
    path.write_bytes(whole)
    back = read_idx(path)
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(head=st.sampled_from([b"", b"\0\0\x08\x03", b"\0\0\x0e\x01", b"\x1f\x8b\x08\0"]), tail=st.binary(max_size=64))
def test_garbage_raises_nothing_but_data_error(folder: Path, head: bytes, tail: bytes) -> None:
    (folder / "garbage").write_bytes(head + tail)
    with contextlib.suppress(DataError):
        read_idx(folder / "garbage")


_TWO = b"\0\0\x08\x01\0\0\0\x02"  # the header of two bytes
_HUGE = b"\0\0\x08\x03" + (2**32 - 1).to_bytes(4, "big") + (1000).to_bytes(4, "big") * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_TWO + b"abc", "more than the 2 bytes"),
        (gzip.compress(_TWO + bytes(50_000_000)), "more than the 2 bytes"),  # and the rest is not unpacked
        (_HUGE + b"x", r"declares [\d,]+ bytes"),  # and no memory is allocated for it
        (b"<html>403</html>", "3c 68 74 6d; MNIST's images start with 00 00 08 03"),
    ],
    ids=["trailing", "bomb", "huge", "page"],
)
def test_other_files_are_refused_with_a_reason(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "file")


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="directory"):
        read_idx(tmp_path)
