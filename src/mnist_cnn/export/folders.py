"""Folders written whole or not at all, as `files.write_whole` does it for files."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mnist_cnn.errors import WriteError
from mnist_cnn.files import PARTIAL, flush_to_disk, is_about_writing

_ASIDE = ".before-"  # begins unlike `PARTIAL`, since nobody may sweep up what is needed to go back


@contextlib.contextmanager
def write_whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; put it at `path` when the block ends without an error.

    No system renames a folder onto one that holds something, so what was at `path` steps aside for a moment. Where
    the change fails it comes back; where the process is killed in that moment, the next call brings it back.

    Raises:
        WriteError: The folder cannot be written or the disk is full.
    """
    aside = path.with_name(_ASIDE + path.name)
    with contextlib.ExitStack() as stack:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _settle(path, aside)
            room = Path(stack.enter_context(_temporary_folder(path.parent)))
            partial = room / path.name
            partial.mkdir()
        try:
            yield partial
        except OSError as error:
            if is_about_writing(room, error):
                raise _failure(path, error) from error
            raise
        with _explained(path):
            _flush(partial)
            _exchange(partial, path, aside)


def _temporary_folder(parent: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=parent, prefix=PARTIAL, ignore_cleanup_errors=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failure(path, error) from error


def _failure(path: Path, error: OSError) -> WriteError:
    return WriteError(f"{path} was not written: {error.strerror or error}. Choose another folder.")


def _exchange(new: Path, path: Path, aside: Path) -> None:
    try:
        if path.exists():
            path.rename(aside)
        new.rename(path)
    finally:
        _settle(path, aside)


def _settle(path: Path, aside: Path) -> None:
    """End a change, this one or that of a killed process: drop what stepped aside, or bring it back."""
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.exists():
        aside.rename(path)


def _flush(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            flush_to_disk(file)
