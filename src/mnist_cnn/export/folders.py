"""Write a folder completely or not at all, as `files.write_whole` does for a file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mnist_cnn.files import PARTIAL, as_write_error, flush_to_disk

_ASIDE = ".before-"  # not `PARTIAL`: leftovers with that prefix may be deleted, and this one is needed to go back


@contextlib.contextmanager
def write_whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, and move it to `path` if the block ends without an error.

    No operating system renames a folder onto one that is not empty, so the old folder is moved aside for a moment. If
    the exchange fails, it is moved back; if the process is killed in that moment, the next call moves it back.

    Raises:
        WriteError: The folder cannot be written, or the disk is full.
    """
    aside = path.with_name(_ASIDE + path.name)
    with contextlib.ExitStack() as stack:
        with as_write_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _settle(path, aside)
            made = tempfile.TemporaryDirectory(dir=path.parent, prefix=PARTIAL, ignore_cleanup_errors=True)
            room = Path(stack.enter_context(made))
            partial = room / path.name
            partial.mkdir()
        with as_write_error(path, room):
            yield partial
        with as_write_error(path):
            for file in partial.rglob("*"):
                if file.is_file():
                    flush_to_disk(file)
            _exchange(partial, path, aside)


def _exchange(new: Path, path: Path, aside: Path) -> None:
    try:
        if path.exists():
            path.rename(aside)
        new.rename(path)
    finally:
        _settle(path, aside)


def _settle(path: Path, aside: Path) -> None:
    """Finish an exchange, of this process or of a killed one: delete the old folder, or move it back."""
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.exists():
        aside.rename(path)
