from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from mnist_cnn.errors import MnistCnnError, WriteError
from mnist_cnn.files import check_writable, is_writable, write_json, write_text, write_whole


def fail(number: int) -> Any:
    def raise_error(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return raise_error


def test_a_file_appears_whole_with_its_folders_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text.txt"
    write_text(path, "ümläut\n")
    assert path.read_bytes() == "ümläut\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["text.txt"]


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_the_old_file_stays_until_the_block_ends_without_an_error(
    tmp_path: Path, error: type[BaseException] | None
) -> None:
    path = tmp_path / "text.tar.gz"
    path.write_text("old")
    with contextlib.suppress(error or OSError), write_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent, "a rename is only atomic within one file system"
        assert partial.name.endswith(".tar.gz"), "some writers choose the format by the suffixes"
        if error:
            raise error
    assert path.read_text() == ("old" if error else "new")
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_flushed_through_a_descriptor_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.write(descriptor, b"")))  # as Windows asks
    write_text(tmp_path / "text.txt", "new")
    assert flushed == [0]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full: .*text.txt was not written, and its previous content is unchanged"),
        (errno.EROFS, "cannot be written .*Choose another folder"),
        (errno.EIO, "text.txt was not written: "),
    ],
)
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", fail(number))
    with pytest.raises(MnistCnnError, match=message) as caught:
        write_text(path, "new")
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_below_a_file_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert is_writable(tmp_path)
    assert is_writable(tmp_path / "new" / "folder")
    assert not is_writable(tmp_path / "file")
    assert not is_writable(tmp_path / "file" / "folder")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", ["file/text.txt", "file/folder/text.txt"])
def test_a_file_where_a_folder_is_needed_is_named(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WriteError, match=r"text\.txt was not written: .*file is a file.* choose another folder"):
        write_text(tmp_path / path, "new")
    assert (tmp_path / "file").read_text() == "mine"


def test_json_comes_back_and_invalid_json_is_not_written(tmp_path: Path) -> None:
    value = {"a": [1, 0.5, None, True, "ü\n"], "b": {}}
    write_json(tmp_path / "value.json", value)
    assert json.loads((tmp_path / "value.json").read_text("utf-8")) == value
    (tmp_path / "value.json").unlink()
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "value.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_errors_about_something_else_pass_through(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    with pytest.raises(FileNotFoundError, match=r"source\.txt"), write_whole(path) as partial:
        partial.write_bytes((tmp_path / "source.txt").read_bytes())
    with pytest.raises(ConnectionResetError), write_whole(path):
        raise ConnectionResetError(errno.ECONNRESET, "reset by peer")
    with pytest.raises(OSError, match="full") as caught, write_whole(path):
        raise OSError(errno.ENOSPC, "full", str(tmp_path / "another.txt"))
    assert not isinstance(caught.value, MnistCnnError)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_in_the_block_is_a_write_error(tmp_path: Path) -> None:
    """Errors of write(2) name no file; those of open(2) name the temporary one."""
    with pytest.raises(WriteError, match=r"text\.txt was not written"), write_whole(tmp_path / "text.txt"):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    with pytest.raises(WriteError, match=r"text\.txt was not written"), write_whole(tmp_path / "text.txt") as partial:  # noqa: PT012
        partial.unlink()
        partial.open("r+")


def test_a_result_has_the_permissions_of_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The umask belongs to the process: while it is changed, files of other threads would be open to everybody."""
    previous = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _: pytest.fail("the umask was changed"))
            write_text(tmp_path / "text.txt", "")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "text.txt").stat().st_mode) == 0o640


def test_two_writers_of_one_file_do_not_collide(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    with write_whole(path) as first, write_whole(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_whether_a_file_could_be_written_is_known_without_writing_it(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    for name in ("text.txt", "new.txt", "folder/new.txt", "new/folder/new.txt"):
        check_writable(tmp_path / name)
    for name in ("folder", "text.txt/new.txt", "text.txt/new/new.txt", "x" * 300, f"{'x' * 300}/new.txt"):
        with pytest.raises(WriteError, match="was not written"):
            check_writable(tmp_path / name)
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["folder", "text.txt"]
    assert (tmp_path / "text.txt").read_text("utf-8") == "mine"


def test_a_lost_drive_is_not_writable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os.path, "exists", lambda _: False)
    assert not is_writable(tmp_path)
    with pytest.raises(WriteError, match="was not written"):
        check_writable(tmp_path / "text.txt")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_known_before(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(WriteError, match="cannot be written"):
        check_writable(tmp_path / "new" / "text.txt")
