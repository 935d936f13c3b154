"""IDX files, the format of MNIST: a small header, then the numbers, plain or gzip-compressed.

The format is Yann LeCun's (http://yann.lecun.com/exdb/mnist/): two zero bytes, one byte for the type, one for
the number of dimensions, each dimension as a big-endian 32-bit integer, then the values, big-endian, the last
index fastest.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from mnist_cnn.errors import DataError
from mnist_cnn.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES = 2**30  # 1 GiB: five times EMNIST digits, the largest set known here

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CODES = {dtype[1:]: code for code, dtype in _TYPES.items()}
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 2**20


def read_idx(path: Path) -> NDArray[Any]:
    """Read one IDX file, plain or gzip (told by its content, not its name).

    Memory grows with what the file really holds, never with what its header claims.

    Args:
        path: The file.

    Returns:
        The array in the machine's byte order, of the shape and type that the header states.

    Raises:
        DataError: Not to be read, wrong magic, truncated, longer than declared, or larger than `MAX_BYTES`.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=plain)) if packed else plain
            return _read_array(stream, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}). Fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def write_idx(path: Path, array: NDArray[Any]) -> None:
    """Write `array` as an IDX file, whole or not at all; gzip-compressed where `path` ends in `.gz`.

    Args:
        path: The file; the same array always gives the same bytes.
        array: 1 to 255 dimensions of uint8, int8, int16, int32, float32 or float64.

    Raises:
        DataError: The format has no such type or shape.
        WriteError: The file cannot be written.
    """
    content = _header(array) + _big_endian(array).tobytes()
    with write_whole(path) as partial:
        partial.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def idx_checksum(array: NDArray[Any]) -> str:
    """Give the SHA-256 (hexadecimal) of the uncompressed IDX file that holds `array`.

    The format leaves no freedom, so this checks an array against a published file's checksum wherever the
    array came from: an IDX file, a gzip of it, or Keras' `mnist.npz`.
    """
    digest = hashlib.sha256(_header(array))
    digest.update(_big_endian(array).data)
    return digest.hexdigest()


def _read_array(stream: IO[bytes], path: Path) -> NDArray[Any]:
    dtype, shape = _read_header(stream, path)
    size = dtype.itemsize * math.prod(shape)
    if size > MAX_BYTES:
        raise DataError(f"{path} declares {size:,} bytes of data; at most {MAX_BYTES:,} are read. Is it damaged?")
    content = _read_at_most(stream, size + 1)  # one byte more, to notice what follows
    if len(content) < size:
        raise DataError(
            f"{path} is truncated: {len(content):,} bytes of data where its header says {size:,}. Fetch it again."
        )
    if len(content) > size:
        raise DataError(f"{path} holds more than the {size:,} bytes of data that its header says. Fetch it again.")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: IO[bytes], path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise DataError(
            f"{path} is not an IDX file: it starts with {magic.hex(' ') or 'nothing'}, where MNIST's images "
            "start with 00 00 08 03 and its labels with 00 00 08 01."
        )
    dimensions = magic[3]
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{path} is truncated within its header. Fetch it again.")
    return np.dtype(_TYPES[magic[2]]), struct.unpack(f">{dimensions}I", sizes)


def _read_at_most(stream: IO[bytes], size: int) -> bytearray:
    content = bytearray()  # writable, so that the array made from it is
    while len(content) < size and (chunk := stream.read(min(_CHUNK, size - len(content)))):
        content += chunk
    return content


def _header(array: NDArray[Any]) -> bytes:
    code = _CODES.get(array.dtype.str[1:])
    if code is None or not 1 <= array.ndim <= 255:
        raise DataError(
            f"IDX cannot hold {array.dtype} with {array.ndim} dimensions; valid are "
            f"{', '.join(sorted(_CODES))} with 1 or more."
        )
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)


def _big_endian(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">"))
