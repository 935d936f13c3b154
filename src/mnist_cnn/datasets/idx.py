"""IDX files, the format of MNIST: a small header, then the values, plain or gzip-compressed.

The format is Yann LeCun's (http://yann.lecun.com/exdb/mnist/): two zero bytes, one byte for the type, one for
the number of dimensions, each dimension as a big-endian 32-bit integer, then the values, big-endian, the last
index fastest.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from mnist_cnn.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES = 2**30  # 1 GiB: five times EMNIST digits, the largest set known here

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 2**20


def read_idx(path: Path) -> NDArray[Any]:
    """Read one IDX file, plain or gzip (recognised by its content, not its name).

    Memory use depends on what the file really contains, never on what its header claims.

    Args:
        path: The file.

    Returns:
        The array in the machine's byte order, of the shape and type that the header states.

    Raises:
        DataError: Unreadable, not IDX, truncated, longer than declared, or larger than `MAX_BYTES`.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=plain)) if packed else plain
            return _read_array(stream, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}). Download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def find_idx(folder: Path, name: str) -> Path | None:
    """Find an IDX file by its published name, with or without `.gz`, in both usual spellings.

    Some unpackers write `train-images.idx3-ubyte` for `train-images-idx3-ubyte`, and some put each file into a folder
    with its name.
    """
    stem = name.removesuffix(".gz")
    spellings = (stem, stem.replace("-idx", ".idx"))
    names = [f"{spelling}{suffix}" for suffix in ("", ".gz") for spelling in spellings]
    nested = (folder / outer / inner for outer in names for inner in names)
    files = (*(folder / name for name in names), *nested)
    return next((file for file in files if os.path.isfile(file)), None)  # noqa: PTH113  # never raises


def idx_checksum(array: NDArray[Any]) -> str:
    """Return the SHA-256 (hexadecimal) of the uncompressed IDX file that contains `array`.

    The format leaves no freedom, so this checks an array against a published file's checksum wherever the array came
    from: an IDX file, a gzip of it, or Keras' `mnist.npz`.

    Args:
        array: uint8, int8, int16, int32, float32 or float64.
    """
    code = next(code for code, dtype in _TYPES.items() if dtype[1:] == array.dtype.str[1:])
    digest = hashlib.sha256(bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape))
    digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">")).data)
    return digest.hexdigest()


def _read_array(stream: IO[bytes], path: Path) -> NDArray[Any]:
    dtype, shape = _read_header(stream, path)
    size = dtype.itemsize * math.prod(shape)
    if size > MAX_BYTES:
        raise DataError(f"{path} declares {size:,} bytes of data; the limit is {MAX_BYTES:,}. It may be damaged.")
    content = _read_at_most(stream, size + 1)  # one byte more, to notice a longer file
    if len(content) < size:
        raise DataError(f"{path} is truncated: it has {len(content):,} of {size:,} bytes of data. Download it again.")
    if len(content) > size:
        raise DataError(f"{path} has more than the {size:,} bytes of data that its header declares. Download it again.")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: IO[bytes], path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise DataError(
            f"{path} is not an IDX file: it starts with {magic.hex(' ') or 'nothing'}; MNIST's images "
            "start with 00 00 08 03 and its labels with 00 00 08 01."
        )
    dimensions = magic[3]
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{path} is truncated within its header. Download it again.")
    return np.dtype(_TYPES[magic[2]]), struct.unpack(f">{dimensions}I", sizes)


def _read_at_most(stream: IO[bytes], size: int) -> bytearray:
    content = bytearray()  # writable, so that the array made from it is
    while len(content) < size and (chunk := stream.read(min(_CHUNK, size - len(content)))):
        content += chunk
    return content
