"""ONNX in float32 and int8."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import ModelFileError, first_line
from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.formats.format import KERAS, ONNX, Format, Reader
from mnist_cnn.files import ONNX_NAME

if TYPE_CHECKING:
    import onnx

    from mnist_cnn.export.original import Original
    from mnist_cnn.reading.metadata import ModelMetadata


def write(original: Original, path: Path) -> None:
    """Write the network in float32."""
    from mnist_cnn.export.onnx_graph import to_onnx

    path.write_bytes(to_onnx(original.model))


def write_int8(original: Original, path: Path) -> None:
    """Write the network in int8; see `quantisation`."""
    from mnist_cnn.export.onnx_graph import to_onnx
    from mnist_cnn.export.quantisation import quantise

    quantise(to_onnx(original.model), original.representative, path)


def stamp(path: Path, metadata: ModelMetadata) -> None:
    """Write the metadata into the model's properties."""
    import onnx

    model = _load(path)
    onnx.helper.set_model_props(model, metadata.to_strings())
    path.write_bytes(model.SerializeToString())


def read_strings(path: Path) -> Mapping[str, str]:
    """Read the model's properties.

    Raises:
        ModelFileError: It is not an ONNX model.
    """
    from google.protobuf.message import DecodeError

    try:
        return {each.key: each.value for each in _load(path).metadata_props}
    except (DecodeError, ValueError, OSError) as error:
        raise ModelFileError(f"{path} is not an ONNX model ({first_line(error)}). Export it again.") from None


def open_reader(path: Path) -> Reader:
    """Open the file in ONNX Runtime as the recogniser does, so that it cannot load weights from other files."""
    from mnist_cnn.reading.recognizer.session import start_session

    session = start_session(path.read_bytes(), str(path), usable_cores())
    return lambda images: np.asarray(session.run([OUTPUT], {INPUT: images})[0])


def _load(path: Path) -> onnx.ModelProto:
    import onnx

    return onnx.load_model(str(path), load_external_data=False)


FORMATS = (
    Format("onnx", ONNX_NAME, "ONNX Runtime", (KERAS, ONNX), write, stamp, read_strings, open_reader),
    Format(
        "onnx-int8", "model.int8.onnx", "ONNX Runtime", (KERAS, ONNX),
        write_int8, stamp, read_strings, open_reader, is_int8=True,
    ),
)  # fmt: skip
