"""Folders written whole or not at all, as `files.write_whole` does it for files."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mnist_cnn.errors import WriteError
from mnist_cnn.files import PARTIAL, flush_to_disk

_ASIDE = ".before-"  # begins unlike `PARTIAL`, since nobody may sweep up what is needed to go back


@contextlib.contextmanager
def write_whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; put it at `path` when the block ends without an error.

    No system renames a folder onto one that holds something, so what was at `path` steps aside for a moment. Where
    the change fails it comes back; where the process is killed in that moment, the next call brings it back.

    Raises:
        MnistCnnError: The folder cannot be written or the disk is full.
    """
    aside = path.with_name(_ASIDE + path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _settle(path, aside)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=PARTIAL, ignore_cleanup_errors=True) as room:
            partial = Path(room, path.name)
            partial.mkdir()
            yield partial
            _flush(partial)
            _exchange(partial, path, aside)
    except OSError as error:
        raise WriteError(f"{path} was not written: {error.strerror or error}. Choose another folder.") from error


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
