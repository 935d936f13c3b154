"""Files written completely or not at all, and the names of files and folders that several rooms share."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mnist_cnn.errors import WriteError

PARTIAL = ".partial-"  # prefix of temporary names; it identifies the leftovers of a killed process

_FULL = (errno.ENOSPC, errno.EDQUOT)
_WRITING_ALONE = (*_FULL, errno.EFBIG)  # errors that only writing raises; they name no file

# In a run folder; the other names are in `runs`. The reading side, which must not import `runs`, looks for these.
CONFIG_NAME, MODEL_NAME = "config.toml", "model.keras"
EXPORTS_NAME, ONNX_NAME = "exports", "model.onnx"
CARD_NAME = "README.md"
SHIPPED_DIGITS, SHIPPED_NUMBERS = "digits", "numbers"  # what commands and recipes call the included weights

TRAIN, TEST, VALIDATION = "train", "test", "val"  # the parts of third-party data sets
_PARTS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "testing", "t10k"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
}
_UNLABELLED = ("unlabelled", "unlabeled")
# Words beside the name of a part: "MNIST - JPG - training", "trainingSet", "test_images".
_FILLERS = ("dataset", "digits", "digit", "emnist", "format", "images", "image", "imgs", "img", "jpeg", "jpg", "mnist",
            "pictures", "png", "qmnist", "samples", "set", "split", "data")  # fmt: skip
_JUNK = frozenset(("__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found", "system volume information",
                   "thumbs.db", "desktop.ini"))  # fmt: skip
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which is renamed to `path` when the block ends without an error.

    The temporary name keeps the suffixes of `path`, because some writers choose the format by them. An interrupted or
    failed block leaves what was at `path` untouched. Errors that are not about writing this file pass through.

    Raises:
        WriteError: The folder cannot be written or the disk is full.
    """
    with as_write_error(path):
        partial = _create_beside(path)
    try:
        with as_write_error(path, partial):
            yield partial
        with as_write_error(path):
            flush_to_disk(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def is_disk_full(error: OSError) -> bool:
    """Return whether the system refused to write because no space is left."""
    return error.errno in _FULL


def is_writable(folder: Path) -> bool:
    """Return whether files can be created in a folder, which need not exist yet; nothing is written."""
    existing = _nearest((folder, *folder.absolute().parents))
    return existing is not None and existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def check_writable(path: Path) -> None:
    """Check that a file could be written at `path`, before the work whose result it is; nothing is left behind.

    Raises:
        WriteError: `path` is a folder, or its folder cannot be written or created.
    """
    with as_write_error(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.exists()  # raises if the name is too long
        existing = _nearest(path.absolute().parents)
        if existing is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        _create_beside(existing / path.name).unlink()


def _nearest(places: Iterable[Path]) -> Path | None:
    """Return the first place that exists; none does on a drive that Windows has lost."""
    return next((place for place in places if os.path.exists(place)), None)  # noqa: PTH110  # never raises


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path`, completely or not at all."""
    with write_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write `value` as indented JSON to `path`, completely or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_to_disk(path: Path) -> None:
    """Wait until a file's content is on the disk; otherwise a power cut after a rename can leave it empty."""
    descriptor = os.open(path, os.O_RDWR)  # Windows flushes only files that are open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def as_write_error(path: Path, partial: Path | None = None) -> Iterator[None]:
    """Raise the system's errors about writing `path` as `WriteError`; others pass through.

    Args:
        path: The file or folder, for the message.
        partial: The temporary file or folder. None if the block does nothing but write.
    """
    try:
        yield
    except OSError as error:
        # The error names the file if opening it failed, and no file if writing to it failed.
        is_writing = error.filename is None and error.errno in _WRITING_ALONE
        if partial is None or is_writing or partial.name in str(error):
            raise WriteError(_explain(path, error)) from error
        raise


def remove_partial(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder; no other process may write there."""
    for partial in list(folder.rglob(f"{PARTIAL}*")):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def part_of(name: str) -> str | None:
    """Return the part of a data set that a name stands for, in any style: "Training", "testSet", "MNIST - test".

    Returns:
        "train", "test" or "val"; None if the name means anything else or more.
    """
    if name.casefold() in _PARTS:
        return _PARTS[name.casefold()]
    words = _telling_words(name)
    return _PARTS.get(words[0]) if len(words) == 1 else None


def is_unlabelled(name: str) -> bool:
    """Return whether a name says that images have no labels, in any style: "unlabelled", "Unlabeled_Images"."""
    return "".join(_telling_words(name)) in _UNLABELLED


def is_filler(name: str) -> bool:
    """Return whether a name says only that there are images or data, such as "images"."""
    return name.casefold() in _FILLERS


def is_left_behind(name: str) -> bool:
    """Return whether a name is that of a hidden file, or of what operating systems and archivers leave behind."""
    return name.startswith(".") or name.casefold() in _JUNK


def _create_beside(path: Path) -> Path:
    """Create an empty file with a new name beside `path`, with the permissions that the umask gives any file.

    `tempfile` creates private files, and the umask cannot be read without changing it for all threads.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        name = f"{PARTIAL}{path.stem[:40]}-{os.urandom(4).hex()}{''.join(path.suffixes)}"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path.parent / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path.parent / name


def _explain(path: Path, error: OSError) -> str:
    if is_disk_full(error):
        return f"the disk is full: {path} was not written, and its previous content is unchanged. Free some space."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path.parent} cannot be written ({error.strerror}). Choose another folder."
    for parent in path.parents:
        if os.path.isfile(parent):  # noqa: PTH113  # never raises
            return f"{path} was not written: {parent} is a file, not a folder. Rename it, or choose another folder."
    return f"{path} was not written: {error.strerror or error}."


def _telling_words(name: str) -> list[str]:
    words = [_without_filler(word.casefold()) for word in _WORDS.findall(name)]
    return [word for word in words if word not in _FILLERS]


def _without_filler(word: str) -> str:
    """Take "trainingset" and "testimages" apart."""
    stems = (word.removesuffix(filler) for filler in _FILLERS)
    return next((stem for stem in stems if stem in _PARTS), word)
