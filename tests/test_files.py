from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.errors import MnistCnnError, WriteError
from mnist_cnn.files import write_json, write_text, write_whole


class Interrupted(BaseException):
    """What Ctrl-C raises in the middle of a block."""


def fail(number: int) -> Any:
    def raise_error(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return raise_error


def test_a_file_appears_whole_with_its_folders_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text.txt"
    write_text(path, "ümläut\n")
    assert path.read_bytes() == "ümläut\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["text.txt"]


def test_the_target_is_the_old_one_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("old")
    with write_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent, "a rename is only atomic within one file system"
    assert path.read_text() == "new"


def test_the_file_is_flushed_through_a_descriptor_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.write(descriptor, b"")))  # as Windows asks
    write_text(tmp_path / "text.txt", "new")
    assert flushed == [0]


def test_the_temporary_name_keeps_all_suffixes(tmp_path: Path) -> None:
    with write_whole(tmp_path / "model.weights.h5") as partial:
        assert partial.name.endswith(".weights.h5")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
def test_a_failed_block_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "text.txt"
    path.write_text("old")
    with pytest.raises(error), write_whole(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full: .*text.txt was not written, and what was there before is untouched"),
        (errno.EACCES, "cannot be written .*Choose another folder"),
        (errno.EROFS, "cannot be written .*Choose another folder"),
        (errno.EIO, "text.txt was not written: "),
    ],
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str, step: str
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("old")
    monkeypatch.setattr(os, step, fail(number))
    with pytest.raises(MnistCnnError, match=message) as caught:
        write_text(path, "new")
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(MnistCnnError, match="taken"):
        write_text(tmp_path / "taken" / "text.txt", "new")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON, max_size=3))
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert json.loads(path.read_text("utf-8")) == value


def test_json_that_other_programs_cannot_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "value.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_block_that_is_about_something_else_passes_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    with pytest.raises(FileNotFoundError, match=r"source\.txt"), write_whole(path) as partial:
        partial.write_bytes((tmp_path / "source.txt").read_bytes())
    with pytest.raises(ConnectionResetError), write_whole(path):
        raise ConnectionResetError(errno.ECONNRESET, "reset by peer")
    with pytest.raises(OSError, match="full") as caught, write_whole(path):
        raise OSError(errno.ENOSPC, "full", str(tmp_path / "another.txt"))
    assert not isinstance(caught.value, MnistCnnError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_write_that_fails_in_the_block_is_a_write_error(tmp_path: Path, number: int) -> None:
    """What write(2) raises names no file; what open(2) raises names the temporary one."""
    with pytest.raises(WriteError, match=r"text\.txt was not written"), write_whole(tmp_path / "text.txt"):
        raise OSError(number, os.strerror(number))
    with pytest.raises(WriteError, match=r"text\.txt was not written"), write_whole(tmp_path / "text.txt") as partial:  # noqa: PT012
        partial.unlink()
        partial.open("r+")


def test_a_result_is_as_readable_as_the_umask_allows_without_a_change_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The umask is the whole process's: even for an instant, another thread's file would be open to everybody."""
    previous = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _: pytest.fail("the umask was changed"))
            write_text(tmp_path / "text.txt", "")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "text.txt").stat().st_mode) == 0o640


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    with write_whole(path) as first, write_whole(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
