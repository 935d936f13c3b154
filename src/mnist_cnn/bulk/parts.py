"""The images of a run, cut into parts of a fixed size that are read, and written, as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mnist_cnn.bulk.image_tables import TABLE, RowRange, row_groups
from mnist_cnn.bulk.stores import find_objects, is_address
from mnist_cnn.reading.ink.sources import SUFFIXES

IMAGES = 32  # files in a part; a killed run repeats the parts that were being read
_ROWS = 128  # of a Parquet file; reading a part decodes all of its row group


@dataclass(frozen=True)
class ImagePart:
    """Images that are read together: image files, or rows of a Parquet file."""

    files: tuple[str, ...]  #: image files, or one Parquet file; paths inside of the store if there is one
    store: str = ""  #: the address of an object store; empty for local files
    rows: RowRange | None = None  #: of the Parquet file

    @property
    def count(self) -> int:
        """Number of images."""
        return self.rows.count if self.rows else len(self.files)

    def to_line(self) -> str:
        """Return the part as one line of JSON."""
        return json.dumps([self.files, self.store, self.rows and self.rows.to_list()])

    @classmethod
    def from_line(cls, line: str) -> ImagePart:
        """Read what `to_line` returned."""
        files, store, rows = json.loads(line)
        return cls(tuple(files), store, RowRange(*rows) if rows else None)


def cut_into_parts(names: Iterable[str]) -> Iterator[ImagePart]:
    """Cut images into parts, in their order. The same names always give the same parts.

    Args:
        names: Paths of image files and Parquet files, and addresses in object stores of these or of folders.

    Raises:
        InputError: A Parquet file cannot be read, or an address cannot be opened.
    """
    waiting: list[str] = []
    origin = ""
    for store, file in _located(names):
        is_table = Path(file).suffix.lower() == TABLE
        if waiting and (is_table or store != origin or len(waiting) == IMAGES):
            yield ImagePart(tuple(waiting), origin)
            waiting = []
        origin = store
        if is_table:
            for group in row_groups(file, store):
                yield from (ImagePart((file,), store, rows) for rows in group.cut(_ROWS))
        else:
            waiting.append(file)
    if waiting:
        yield ImagePart(tuple(waiting), origin)


def _located(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each file with the address of its store."""
    suffixes = SUFFIXES | {TABLE}
    for name in names:
        if is_address(name):
            yield from ((name, path) for path in find_objects(name, suffixes))
        else:
            yield "", name


def name_of(part: ImagePart) -> str:
    """Return words that tell a user which images a part contains."""
    first = part.files[0]
    if part.rows:
        return f"rows {part.rows.first_row:,} to {part.rows.first_row + part.rows.count - 1:,} of {first}"
    return first if part.count == 1 else f"{part.count} images from {first} on"
