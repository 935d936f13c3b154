"""Tensors on the wire: JSON and the binary data that may follow it (Triton's extension `binary_tensor_data`).

Binary data is never copied: the arrays are views of the body.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.server.problems import Problem

HEADER_LENGTH = "Inference-Header-Content-Length"  # the header with the number of bytes that are JSON

# Little-endian, row by row, without gaps. A BYTES tensor is an array of text, of NumPy's dtype object.
_DTYPES = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "INT64": np.dtype("<i8"),
    "FP32": np.dtype("<f4"),
    "BYTES": np.dtype("O"),
}
_DATATYPES = {dtype: name for name, dtype in _DTYPES.items()}
_MOST_DIGITS = 18  # of a length in a header: more than any memory; int() is slow with millions of digits


def split_body(body: bytes, header_length: str | None) -> tuple[memoryview, memoryview]:
    """Split a body into its JSON and the binary data after it.

    Args:
        body: Decompressed.
        header_length: Value of the header; None: the whole body is JSON.

    Returns:
        Views of both; either may be empty.

    Raises:
        Problem: The length is not a number, or is larger than the body.
    """
    view = memoryview(body)
    if header_length is None:
        return view, view[len(view) :]
    is_number = header_length.isascii() and header_length.isdigit() and len(header_length) <= _MOST_DIGITS
    if not is_number or int(header_length) > len(view):
        raise Problem(
            400,
            f"{HEADER_LENGTH} = {header_length[:_MOST_DIGITS]!r} is not valid. Valid: the length of the JSON in bytes, "
            f"which is part of the body of {len(view)} bytes.",
        )
    return view[: int(header_length)], view[int(header_length) :]


def from_bytes(raw: memoryview, datatype: str, shape: Sequence[int]) -> NDArray[Any]:
    """Make a tensor from binary data.

    Args:
        raw: Exactly its bytes.
        datatype: "FP32" or "UINT8".
        shape: Sizes from 1 on.

    Returns:
        A read-only view of `raw`, of that shape, every float finite.

    Raises:
        Problem: The number of bytes does not fit the shape, or a value is NaN or infinite.
    """
    dtype = _DTYPES[datatype]
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) != expected:
        raise Problem(400, f"{datatype} of shape {list(shape)} needs {expected} bytes, but {len(raw)} came.")
    return _finite(np.frombuffer(raw, dtype)).reshape(shape)


def from_list(data: Sequence[Any], datatype: str, shape: Sequence[int]) -> NDArray[Any]:
    """Make a tensor from parsed JSON.

    Args:
        data: Numbers in one list, or in nested lists as in the shape.
        datatype: "FP32" or "UINT8".
        shape: Sizes from 1 on.

    Returns:
        An array of that shape, every float finite.

    Raises:
        Problem: The number of elements does not fit the shape, or one of them does not fit the datatype.
    """
    dtype = _DTYPES[datatype]
    values = _flatten(data, shape)
    if len(values) != math.prod(shape):
        raise Problem(400, f"the data has {len(values)} elements, but the shape has {math.prod(shape)}.")
    try:
        if not set(map(type, values)) <= ({int} if dtype.kind == "u" else {int, float}):
            raise ValueError("NumPy would accept true, null and texts as well")
        with np.errstate(over="ignore"):  # to infinity, which is refused
            array = np.fromiter(values, dtype, len(values))
    except (ValueError, OverflowError):
        raise Problem(400, f"the data contains an element that is not {datatype}. Correct it.") from None
    return _finite(array).reshape(shape)


def datatype_of(array: NDArray[Any]) -> str:
    """Return the protocol's name for an array's dtype."""
    return _DATATYPES[array.dtype]


def to_bytes(array: NDArray[Any]) -> bytes:
    """Return the binary data of an array; text has its length before it (4 bytes, little-endian)."""
    if array.dtype.kind != "O":
        return array.tobytes()
    texts = [text.encode(errors="replace") for text in array.flat]
    return b"".join(itertools.chain.from_iterable((struct.pack("<I", len(text)), text) for text in texts))


def join_body(head: Any, tails: Iterable[bytes]) -> tuple[bytes, int]:
    """Put binary data after JSON.

    Returns:
        The body, and the number of its bytes that are JSON.
    """
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((text, *tails)), len(text)


def _flatten(data: Sequence[Any], shape: Sequence[int]) -> Sequence[Any]:
    """Flatten lists that are nested as in the shape, or not at all."""
    if data and type(data[0]) is list:
        for size in shape[1:]:
            if any(type(row) is not list or len(row) != size for row in data):
                raise Problem(400, f"the data is not nested as {list(shape)}. Nest it so, or not at all.")
            data = list(itertools.chain.from_iterable(data))
    return data


def _finite(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Problem(400, "the data contains NaN or infinity. Valid: finite numbers.")
    return array
