"""Find the images that the command line names: files, folders, standard input."""

from __future__ import annotations

import codecs
import hashlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mnist_cnn.errors import SettingError

if TYPE_CHECKING:
    import io

STDIN, STDIN_NAME = "-", "standard input"  # as a path, and in messages

_LARGEST_IMAGE = 512 * 2**20  # largest image read from standard input, bytes
_BLOCK = 2**16  # bytes of a list of paths read at once
_HEAD = 64  # bytes; images without one of these signatures have a zero byte among them
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff")
_NETPBM = {b"P%d" % kind for kind in range(1, 7)}  # the only image formats whose head is text


class DigestedInput:
    """Standard input, with a digest of what was read of it."""

    def __init__(self) -> None:
        """Raise `SettingError` if it is closed."""
        self._stream = open_standard_input()
        self._hash = hashlib.sha256()

    def read1(self, size: int) -> bytes:
        """Read at most this many bytes, waiting only for the first ones; none at the end."""
        block = self._stream.read1(size)
        self._hash.update(block)
        return block

    def read(self, size: int) -> bytes:
        """Read this many bytes, fewer at the end."""
        block = self._stream.read(size)
        self._hash.update(block)
        return block

    def digest(self) -> str:
        """Read to the end, and return the digest of everything."""
        while self.read1(_BLOCK):
            pass
        return self._hash.hexdigest()


def open_standard_input() -> io.BufferedReader:
    """Return the bytes of standard input.

    Raises:
        SettingError: The parent process has closed it.
    """
    if sys.stdin is None:
        raise SettingError("standard input is closed. Give paths instead of -.")
    return cast("io.BufferedReader", sys.stdin.buffer)


def find_images(
    words: Iterable[str], more: frozenset[str] = frozenset(), stdin: DigestedInput | None = None
) -> Iterator[Iterable[str | bytes]]:
    """Yield the images in groups, so that those already named can be read while more paths are still being written.

    Args:
        words: Paths of files and folders; `-` for standard input.
        more: Suffixes of files in folders, besides those of images.
        stdin: Where standard input is read, if not directly.

    Yields:
        Paths, or the bytes of one image. A list of paths on standard input comes in as many groups as reads.
    """
    for is_stdin, group in itertools.groupby(words, key=STDIN.__eq__):
        if is_stdin:
            yield from _standard_input(more, stdin or open_standard_input())
        else:
            yield image_files(group, more)


def image_files(paths: Iterable[str], more: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield each file unchanged, and for each folder the images below it, and the files with more suffixes."""
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112  # `Path.is_dir` raises for a path that is too long or not permitted
            yield from _images_below(path, more)
        else:
            yield path


def _images_below(folder: str, more: frozenset[str]) -> Iterator[str]:
    """Yield the files with an image suffix, sorted, without hidden ones and linked folders.

    A folder that cannot be opened is given itself, so that its row reports the error.
    """
    from mnist_cnn.reading.ink.sources import SUFFIXES

    suffixes = SUFFIXES | more
    closed: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = str(Path(parent, name))
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes and not _is_special(file):
                yield file
    yield from (str(error.filename) for error in closed)


def _is_special(file: str) -> bool:
    """Return whether it exists but is not a file: reading a named pipe would block."""
    return os.path.exists(file) and not os.path.isfile(file)  # noqa: PTH110, PTH113  # as above


def _standard_input(more: frozenset[str], stream: io.BufferedReader | DigestedInput) -> Iterator[Iterable[str | bytes]]:
    head = b""
    while len(head) < _HEAD and b"\n" not in head and (block := stream.read1(_BLOCK)):
        head += block  # a pipe may deliver an image's first bytes alone
    if _is_list_with_zeros(head):
        raise SettingError(
            "the paths on standard input are separated by NUL bytes. Give one path per line: with find, use -print "
            "instead of -print0."
        )
    if _is_image(head):
        yield [head + stream.read(_LARGEST_IMAGE)]
        return
    rest, block = b"", head.removeprefix(codecs.BOM_UTF8)
    while block:
        *lines, rest = (rest + block).split(b"\n")
        yield image_files(_paths(lines), more)
        block = stream.read1(_BLOCK)
    yield image_files(_paths([rest]), more)


def _is_image(head: bytes) -> bool:
    """Distinguish an image from a list of paths by its first bytes: a path never contains a zero byte."""
    if head[:2] in _NETPBM and head[2:3].isspace():
        first = head.partition(b"\n")[0].rstrip(b"\r")
        return not os.path.exists(os.fsdecode(first))  # noqa: PTH110  # a path may begin like these images: "P1 a.png"
    return head.startswith(_SIGNATURES) or b"\0" in head[:_HEAD]


def _is_list_with_zeros(head: bytes) -> bool:
    """Return whether this begins with a path and a zero byte, as `find -print0` and `git ls-files -z` write them."""
    from mnist_cnn.reading.ink.sources import SUFFIXES

    first, zero, _ = head.partition(b"\0")
    path = os.fsdecode(first)
    return bool(path and zero) and (Path(path).suffix.lower() in SUFFIXES or os.path.exists(path))  # noqa: PTH110


def _paths(lines: Iterable[bytes]) -> Iterator[str]:
    return (os.fsdecode(line.rstrip(b"\r")) for line in lines if line.strip())
