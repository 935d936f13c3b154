"""Files written whole or not at all, and what the names of other people's folders mean.

Whoever reads folders of images skips these names or descends into them; whoever writes such folders avoids them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mnist_cnn.errors import WriteError

PARTIAL = ".partial-"  # how temporary names begin, so that leftovers of a killed process can be told

_WRITING_ALONE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what only writing fails with; such errors name no file

TRAIN, TEST, VALIDATION = "train", "test", "val"

_PARTS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "testing", "t10k"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
}
_UNLABELLED = ("unlabelled", "unlabeled")
# What is said of a part besides which one it is: "MNIST - JPG - training", "trainingSet", "test_images".
_FILLERS = ("dataset", "digits", "digit", "emnist", "format", "images", "image", "imgs", "img", "jpeg", "jpg", "mnist",
            "pictures", "png", "qmnist", "samples", "set", "split", "data")  # fmt: skip
_JUNK = frozenset(("__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found", "system volume information",
                   "thumbs.db", "desktop.ini"))  # fmt: skip
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it onto `path` when the block ends without an error.

    The temporary name keeps the suffixes of `path`, since some writers choose the format by it. An interrupted or
    failed block leaves whatever was at `path` untouched. What the block raises for other reasons than this file, such
    as another file that it cannot read, passes through as it is.

    Raises:
        WriteError: The folder cannot be written or the disk is full.
    """
    with _explained(path):
        partial = _create_beside(path)
    try:
        try:
            yield partial
        except OSError as error:
            if is_about_writing(partial, error):
                raise WriteError(_explain(path, error)) from error
            raise
        with _explained(path):
            flush_to_disk(partial)
            partial.replace(path)
    finally:
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


def is_about_writing(partial: Path, error: OSError) -> bool:
    """Whether an error is about what is written at a temporary path, rather than about something else in the block.

    Args:
        partial: The file, or the folder of the files.
        error: It names the file, as opening one does; or no file at all, and only writing can fail so.
    """
    return partial.name in str(error) or (error.filename is None and error.errno in _WRITING_ALONE)


def _create_beside(path: Path) -> Path:
    """Create an empty file of a new name beside `path`, as readable for others as the umask lets any file be.

    `tempfile` makes private files, and the umask cannot be asked for without changing it for all threads.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        name = f"{PARTIAL}{path.stem[:40]}-{os.urandom(4).hex()}{''.join(path.suffixes)}"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path.parent / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path.parent / name


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(_explain(path, error)) from error


def _explain(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {path} was not written, and what was there before is untouched. Free some space."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path.parent} cannot be written ({error.strerror}). Choose another folder."
    return f"{path} was not written: {error.strerror or error}."


def part_of(name: str) -> str | None:
    """Give the part of a data set that a name stands for, whatever its style: "Training", "testSet", "MNIST - test".

    Returns:
        "train", "test" or "val"; None where the name says something else, or more than that.
    """
    if name.casefold() in _PARTS:
        return _PARTS[name.casefold()]
    words = _telling_words(name)
    return _PARTS.get(words[0]) if len(words) == 1 else None


def is_unlabelled(name: str) -> bool:
    """Say whether a name says that images have no labels, whatever its style: "unlabelled", "Unlabeled_Images"."""
    return "".join(_telling_words(name)) in _UNLABELLED


def is_filler(name: str) -> bool:
    """Say whether a name says no more than that there are images or data, such as "images"."""
    return name.casefold() in _FILLERS


def is_left_behind(name: str) -> bool:
    """Say whether a name is that of a hidden file, or of what operating systems and archivers leave behind."""
    return name.startswith(".") or name.casefold() in _JUNK


def _telling_words(name: str) -> list[str]:
    words = [_without_filler(word.casefold()) for word in _WORDS.findall(name)]
    return [word for word in words if word not in _FILLERS]


def _without_filler(word: str) -> str:
    """Take "trainingset" and "testimages" apart."""
    stems = (word.removesuffix(filler) for filler in _FILLERS)
    return next((stem for stem in stems if stem in _PARTS), word)
