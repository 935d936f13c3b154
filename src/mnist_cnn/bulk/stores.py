"""Files at object-store addresses, such as s3://forms/2024, through PyArrow."""

from __future__ import annotations

import contextlib
import functools
import posixpath
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mnist_cnn.errors import DataError, ImageError, SettingError, first_line, requires_extra

if TYPE_CHECKING:
    import pyarrow.fs

_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs", "file")


def is_address(name: str) -> bool:
    """Return whether a name is an address in an object store, not a path."""
    return "://" in name


def find_objects(address: str, suffixes: Collection[str]) -> Iterator[str]:
    """Yield the paths of the files at an address: the object itself, or those below it with one of the suffixes.

    Names are sorted, hidden ones are skipped, and only one level is in memory at a time.

    Args:
        address: Such as s3://forms/2024.
        suffixes: Lower case, such as ".png".

    Raises:
        InputError: There is nothing at the address, it cannot be opened, or its kind is unknown.
    """
    store, path = _open(address)
    kind = _information(store, path, address)
    if kind.is_file:
        yield path
    else:
        yield from _below(store, path, address, suffixes)


def read_object(address: str, path: str) -> bytes:
    """Return the content of a file.

    Args:
        address: That under which it was found; it may contain options, such as a region.
        path: From `find_objects`.

    Raises:
        ImageError: There is no such file, or it may not be read.
        OSError: Its store cannot be reached.
    """
    try:
        with _open(address)[0].open_input_stream(path) as stream:
            content: bytes = stream.read()
            return content
    except (FileNotFoundError, PermissionError) as error:
        raise ImageError(f"{show(address, path)} cannot be read: {error.strerror or first_line(error)}.") from error


def open_object(address: str, path: str) -> Any:
    """Open a file for reading at any position, as PyArrow's readers do."""
    return _open(address)[0].open_input_file(path)


@contextlib.contextmanager
def reaching(name: str) -> Iterator[None]:
    """Raise `DataError` if the block cannot reach an object store.

    Args:
        name: What the message names: the address of a file or folder.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{name} cannot be read: {first_line(error)}. Check the connection to the object store, your credentials "
            "and the file, then run the same command again."
        ) from error


def show(address: str, path: str) -> str:
    """Return the address of one file, without options."""
    return f"{urlsplit(address).scheme}://{path}"


@functools.cache
def _open(address: str) -> tuple[pyarrow.fs.FileSystem, str]:
    with requires_extra("ray"):
        import pyarrow as pa
        from pyarrow.fs import FileSystem
    parts = urlsplit(address)
    if parts.scheme not in _SCHEMES:
        raise SettingError(f"{address} begins with an unknown scheme. Valid: {', '.join(f'{s}://' for s in _SCHEMES)}.")
    if parts.password:
        raise SettingError(
            f"the address {parts.scheme}://…@{parts.hostname} contains a password, which would be stored with the "
            "results. Put it into the environment variables of the store, such as AWS_SECRET_ACCESS_KEY."
        )
    try:
        store, path = FileSystem.from_uri(address)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SettingError(f"{address} cannot be opened: {first_line(error)}. Check the address.") from error
    return store, path.rstrip("/") or path


def _information(store: pyarrow.fs.FileSystem, path: str, address: str) -> pyarrow.fs.FileInfo:
    from pyarrow.fs import FileType

    try:
        found = store.get_file_info(path)
    except OSError as error:
        raise DataError(f"{address} cannot be read: {first_line(error)}. Check it, and your credentials.") from error
    if found.type == FileType.NotFound:
        raise DataError(f"there is nothing at {address}. Check the address.")
    return found


def _below(store: pyarrow.fs.FileSystem, folder: str, address: str, suffixes: Collection[str]) -> Iterator[str]:
    from pyarrow.fs import FileSelector

    try:
        entries = store.get_file_info(FileSelector(folder))
    except OSError as error:
        raise DataError(f"{show(address, folder)} cannot be listed: {first_line(error)}.") from error
    visible = sorted((entry for entry in entries if not entry.base_name.startswith(".")), key=lambda each: each.path)
    # As `os.walk` in local folders: the files of a folder come before its subfolders.
    yield from (
        entry.path for entry in visible if entry.is_file and posixpath.splitext(entry.base_name)[1].lower() in suffixes
    )
    for entry in visible:
        if not entry.is_file:
            yield from _below(store, entry.path, address, suffixes)
