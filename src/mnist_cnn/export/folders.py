"""Folders written whole or not at all, as `files.write_whole` does it for files."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.files import PARTIAL


@contextlib.contextmanager
def write_whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; put it at `path` when the block ends without an error.

    What was at `path` steps aside for the moment of the change and comes back where that fails.

    Raises:
        MnistCnnError: The folder cannot be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=PARTIAL, ignore_cleanup_errors=True) as room:
            partial = Path(room, path.name)
            partial.mkdir()
            yield partial
            _exchange(partial, path, Path(room, "before"))
    except OSError as error:
        raise MnistCnnError(f"{path} was not written: {error.strerror or error}. Choose another folder.") from error


def _exchange(new: Path, path: Path, aside: Path) -> None:
    if path.exists():
        path.rename(aside)  # no system renames a folder onto one that holds something
    try:
        new.rename(path)
    except BaseException:
        if aside.exists():
            shutil.move(aside, path)
        raise
