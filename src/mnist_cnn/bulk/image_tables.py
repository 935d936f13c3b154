"""Parquet files with a column of images: their rows, read in a stream whatever the size of a row group."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from mnist_cnn.bulk.stores import is_address, open_object, reaching, show
from mnist_cnn.errors import DataError, SettingError, first_line, requires_extra, suggest

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TABLE = ".parquet"
_USUAL = "image"  # the column of images, unless another one is named or is the only one of bytes
_BUFFER = 2**20  # bytes of a file in memory; without a buffer, a whole column of a row group is
_ROWS = 16  # decoded at a time


@dataclass(frozen=True)
class RowRange:
    """Consecutive rows of one row group."""

    group: int  #: index of the row group in the file
    start: int  #: row of the file at which the row group begins
    first: int  #: row of the row group at which the range begins
    count: int  #: number of rows

    @property
    def first_row(self) -> int:
        """The first row, counted from the beginning of the file, from 0."""
        return self.start + self.first

    def cut(self, count: int) -> Iterator[RowRange]:
        """Yield ranges of this many rows; the last one may have fewer."""
        for first in range(0, self.count, count):
            yield RowRange(self.group, self.start, self.first + first, min(count, self.count - first))

    def to_list(self) -> list[int]:
        """Return the values of the constructor."""
        return list(astuple(self))


@dataclass(frozen=True)
class Columns:
    """The columns of Parquet files; the usual ones where the name is empty."""

    image: str = ""  #: the column of image bytes
    key: str = ""  #: the column whose values name the rows; if empty, the file and the number of the row do


def check_installed() -> None:
    """Check that Parquet files can be read and written.

    Raises:
        MissingExtraError: PyArrow is not installed.
    """
    with requires_extra("ray"):
        import pyarrow.parquet  # noqa: F401


def row_groups(file: str, store: str) -> Iterator[RowRange]:
    """Yield the row groups of a Parquet file.

    Raises:
        DataError: It cannot be read.
    """
    with reaching(_named(file, store)):
        table = _open(file, store)
    start = 0
    for group in range(table.metadata.num_row_groups):
        count = table.metadata.row_group(group).num_rows
        yield RowRange(group, start, 0, count)
        start += count


def check_columns(file: str, store: str, columns: Columns) -> None:
    """Check that a Parquet file has the columns that are to be read.

    Raises:
        SettingError: It has not.
        DataError: It cannot be read.
    """
    name = _named(file, store)
    with reaching(name):
        schema = _open(file, store).schema_arrow
    _check_schema(schema, columns, name)


def read_rows(file: str, store: str, rows: RowRange, columns: Columns) -> Iterator[tuple[str, bytes | None]]:
    """Yield the key and the image of each row of a range; the image is None where the table has none.

    Ranges of the same row group that are asked for in order are read in one pass.

    Raises:
        InputError: The file cannot be read, or does not have the columns.
        OSError: Its object store cannot be reached.
    """
    cursor = _cursor(file, store, rows.group, columns)
    if cursor.row > rows.first:
        _cursor.cache_clear()
        cursor = _cursor(file, store, rows.group, columns)
    for index, (key, image) in enumerate(cursor.take(rows.first, rows.count)):
        yield (key if columns.key else f"{_named(file, store)}#{rows.first_row + index}"), image


class _Cursor:
    """Reads the rows of one row group forwards.

    Attributes:
        row: The next row.
    """

    def __init__(self, table: pq.ParquetFile, group: int, path: list[str], key: str, name: str) -> None:
        wanted = [".".join(path), *([key] if key else [])]
        self.row = 0
        self._batches = table.iter_batches(_ROWS, row_groups=[group], columns=wanted, use_threads=False)
        self._path, self._key, self._name = path, key, name
        self._batch: pa.RecordBatch | None = None
        self._used = 0  # rows of the batch

    def take(self, first: int, count: int) -> Iterator[tuple[str, bytes | None]]:
        """Yield the keys and the images of rows, after skipping those before."""
        import pyarrow as pa

        try:
            while self.row < first + count:
                batch = self._next_batch()
                step = min(batch.num_rows - self._used, (first if self.row < first else first + count) - self.row)
                part = batch.slice(self._used, step)
                is_skipped = self.row < first
                self.row, self._used = self.row + step, self._used + step
                if not is_skipped:
                    yield from self._rows(part)
        except (pa.ArrowException, OSError) as error:
            _cursor.cache_clear()
            if _may_recover(self._name, error):
                raise
            raise _damaged(self._name, error) from error

    def _next_batch(self) -> pa.RecordBatch:
        if self._batch is None or self._used == self._batch.num_rows:
            self._batch, self._used = next(self._batches), 0
        return self._batch

    def _rows(self, batch: pa.RecordBatch) -> Iterator[tuple[str, bytes | None]]:
        images = batch.column(self._path[0])
        for name in self._path[1:]:
            images = images.field(name)
        keys = batch.column(self._key).to_pylist() if self._key else [""] * batch.num_rows
        yield from zip(map(str, keys), images.to_pylist(), strict=True)


@functools.lru_cache(maxsize=1)
def _cursor(file: str, store: str, group: int, columns: Columns) -> _Cursor:
    table = _open(file, store)
    name = _named(file, store)
    return _Cursor(table, group, _check_schema(table.schema_arrow, columns, name), columns.key, name)


def _check_schema(schema: pa.Schema, columns: Columns, name: str) -> list[str]:
    """Return the column of image bytes, as `_image_field` does, after checking that the column of keys exists."""
    path = _image_field(schema, columns.image, name)
    if columns.key and columns.key not in schema.names:
        raise SettingError(f"{name} has no column {columns.key!r} for --key. {suggest(columns.key, schema.names)}")
    return path


def _image_field(schema: pa.Schema, wanted: str, name: str) -> list[str]:
    """Return the column of image bytes, as the names of a field and of the fields in it.

    Columns of Hugging Face's data sets are structures of bytes and path.
    """
    import pyarrow as pa

    def is_binary(kind: pa.DataType) -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def path_of(field: pa.Field) -> list[str]:
        if is_binary(field.type):
            return [field.name]
        is_structure = pa.types.is_struct(field.type) and "bytes" in [each.name for each in field.type]
        return [field.name, "bytes"] if is_structure and is_binary(field.type.field("bytes").type) else []

    found = {field.name: path_of(field) for field in schema if path_of(field)}
    chosen = wanted or (_USUAL if _USUAL in schema.names or len(found) != 1 else next(iter(found)))
    if chosen in found:
        return found[chosen]
    if chosen in schema.names:
        kind = schema.field(chosen).type
        raise SettingError(f"the column {chosen!r} of {name} contains {kind}, not image bytes. Name another: --column")
    remedy = suggest(chosen, schema.names) if schema.names else "It has no columns."
    raise SettingError(f"{name} has no column {chosen!r} of images. {remedy} Name it with --column.")


def _open(file: str, store: str) -> pq.ParquetFile:
    with requires_extra("ray"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        return pq.ParquetFile(open_object(store, file) if store else file, buffer_size=_BUFFER, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        if _may_recover(_named(file, store), error):
            raise
        raise _damaged(_named(file, store), error) from error


def _may_recover(name: str, error: Exception) -> bool:
    """Return whether an object store did not answer, so that another attempt may succeed."""
    is_final = isinstance(error, (FileNotFoundError, PermissionError))
    return is_address(name) and isinstance(error, OSError) and not is_final


def _damaged(name: str, error: Exception) -> DataError:
    number = getattr(error, "errno", None)  # PyArrow's messages repeat the path
    what = os.strerror(number) if number else first_line(error)
    return DataError(f"{name} cannot be read as a Parquet file: {what}. Replace it, or leave it out.")


def _named(file: str, store: str) -> str:
    return show(store, file) if store else file
