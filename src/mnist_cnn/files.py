"""Files written whole or not at all: to a temporary name beside the target, then renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mnist_cnn.errors import WriteError

PARTIAL = ".partial-"  # how temporary names begin, so that leftovers of a killed process can be told


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it onto `path` when the block ends without an error.

    The temporary name keeps the suffixes of `path`, since some writers choose the format by it. An interrupted or
    failed block leaves whatever was at `path` untouched.

    Raises:
        MnistCnnError: The folder cannot be written or the disk is full.
    """
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f"{PARTIAL}{path.stem[:40]}-", suffix="".join(path.suffixes)
        )
        os.close(handle)
        partial = Path(name)
        yield partial
        flush_to_disk(partial)
        partial.chmod(0o666 & ~_umask())  # mkstemp makes private files; a result is meant to be read by others
        partial.replace(path)
    except OSError as error:
        raise WriteError(_explain(path, error)) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path`, whole or not at all."""
    with write_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write `value` as indented JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def flush_to_disk(path: Path) -> None:
    """Wait until a file's content is on the disk, else a power cut after a rename can leave it empty."""
    descriptor = os.open(path, os.O_RDWR)  # Windows flushes only what is open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _explain(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk is full: {path} was not written, and what was there before is untouched. Free some space."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path.parent} cannot be written ({error.strerror}). Choose another folder."
    return f"{path} was not written: {error.strerror or error}."
