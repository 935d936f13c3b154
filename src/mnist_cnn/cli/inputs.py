"""What the words on the command line stand for: files, the images in folders, standard input."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import io

STDIN = "-"

_LARGEST_IMAGE = 512 * 2**20  # bytes taken from standard input
_BLOCK = 2**16  # bytes of a list of paths taken at once
_NETPBM = {b"P%d" % kind for kind in range(1, 7)}  # of all image formats, only these begin like text


def find_images(words: Iterable[str]) -> Iterator[Iterable[str | bytes]]:
    """Give the images in groups; whoever reads a group to its end has kept no one waiting.

    Args:
        words: Paths of files and folders; `-` for standard input.

    Yields:
        Paths, or the bytes of one image. Of a list of paths on standard input, as many as are there to be read.
    """
    for is_stdin, group in itertools.groupby(words, key=STDIN.__eq__):
        if is_stdin:
            yield from _standard_input()
        else:
            yield image_files(group)


def image_files(paths: Iterable[str]) -> Iterator[str]:
    """Give files as they are, and for each folder the images below it."""
    for path in paths:
        if Path(path).is_dir():
            yield from _images_below(path)
        else:
            yield path


def _images_below(folder: str) -> Iterator[str]:
    """Give the files with an image's suffix, sorted; what is hidden is passed over, links to folders too.

    A folder that cannot be opened is given itself, so that it gets a row that says so.
    """
    from mnist_cnn.ink.sources import SUFFIXES

    closed: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield str(Path(parent, name))
    yield from (str(error.filename) for error in closed)


def _standard_input() -> Iterator[Iterable[str | bytes]]:
    stream = cast("io.BufferedReader", sys.stdin.buffer)
    if _is_image(stream.peek(1)):
        yield [stream.read(_LARGEST_IMAGE)]
        return
    rest = b""
    while block := stream.read1(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        yield image_files(_paths(lines))
    yield image_files(_paths([rest]))


def _is_image(head: bytes) -> bool:
    """Tell an image from a list of paths by its first bytes: no path holds a zero byte, and images soon do."""
    return b"\0" in head[:64] or head[:3] == b"\xff\xd8\xff" or (head[:2] in _NETPBM and head[2:3].isspace())


def _paths(lines: Iterable[bytes]) -> Iterator[str]:
    return (os.fsdecode(line.rstrip(b"\r")) for line in lines if line.strip())
