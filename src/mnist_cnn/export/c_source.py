"""A model as C source: a header with its bytes and constants, and an example sketch that reads one digit with it."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import ModelFileError
from mnist_cnn.export.micro_runtime import arena_bytes, operators, registration
from mnist_cnn.reading.metadata import ModelMetadata

_HEADER, _SKETCH = (Path(__file__).with_name(name) for name in ("model.h", "sketch.ino"))
_PER_LINE = 20
_PLAIN = set(string.printable.encode()) - set(b'"?\\\t\n\r\x0b\x0c')  # `??` may begin a trigraph
_MODEL = re.compile(r"mnist_cnn_model\[\] = \{(.*?)\}", re.DOTALL)


@dataclass(frozen=True)
class Quantisation:
    """How numbers of a tensor are stored: number = scale * (stored - zero_point)."""

    scale: float
    zero_point: int


def write_header(
    content: bytes,
    metadata: ModelMetadata,
    input_: Quantisation,
    output: Quantisation,
    example: NDArray[np.uint8],
    answer: str,
) -> str:
    """Write the header of a model, valid C11 and C++11.

    Args:
        content: Of a `.tflite` file.
        metadata: Provides the class names and the version of this package.
        input_: Of the grey levels, 0 to 255.
        output: Of the probabilities.
        example: A digit, [28, 28].
        answer: The class that the network chooses for it.
    """
    return string.Template(_HEADER.read_text("utf-8")).substitute(
        version=metadata.package_version,
        size=len(content),
        arena=arena_bytes(content),
        classes=len(metadata.class_names),
        names=", ".join(map(quote, metadata.class_names)),
        input_scale=input_.scale,
        input_zero_point=input_.zero_point,
        output_scale=output.scale,
        output_zero_point=output.zero_point,
        answer=quote(answer),
        example=_rows(example.tobytes(), example.shape[1]),
        model=_rows(content, _PER_LINE),
    )


def read_header(text: str) -> bytes:
    """Return the content of the `.tflite` file in a header.

    Raises:
        ModelFileError: `write_header` did not write it.
    """
    found = _MODEL.search(text)
    if found is None:
        raise ModelFileError("the header contains no array mnist_cnn_model. Export the model again.")
    return bytes(int(number) for number in found[1].split(",") if number.strip())


def write_sketch(content: bytes) -> str:
    """Write the example sketch for a model.

    Raises:
        ModelFileError: LiteRT for Microcontrollers lacks an operator that the model uses.
    """
    methods = [registration(name) for name in operators(content)]
    lines = "\n".join(f"  resolver.{method}();" for method in methods)
    return string.Template(_SKETCH.read_text("utf-8")).substitute(count=len(methods), registrations=lines)


def quote(text: str) -> str:
    """Return a text as a C string literal in UTF-8 that contains ASCII characters only."""
    return '"' + "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in text.encode()) + '"'


def _rows(values: bytes, width: int) -> str:
    lines = (values[start : start + width] for start in range(0, len(values), width))
    return "\n".join("  " + "".join(f"{value}," for value in line) for line in lines)
