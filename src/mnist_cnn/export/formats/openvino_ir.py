"""OpenVINO's own format: a folder with `model.xml`, `model.bin` and the metadata, in float32."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.formats.format import KERAS, ONNX, OPENVINO, Format, Reader
from mnist_cnn.export.metadata_files import read_json, write_json
from mnist_cnn.reading.metadata import KEY_PREFIX

if TYPE_CHECKING:
    import openvino

    from mnist_cnn.export.original import Original
    from mnist_cnn.reading.metadata import ModelMetadata

_XML, _METADATA = "model.xml", Path("metadata.json")


def write(original: Original, folder: Path) -> None:
    """Write the network via ONNX."""
    from mnist_cnn.export.onnx_graph import to_onnx

    # `openvino.convert_model` would send usage data over the network.
    _save(_core().read_model(to_onnx(original.model)), folder)


def stamp(folder: Path, metadata: ModelMetadata) -> None:
    """Write the metadata to a file beside the model and into its runtime information."""
    model = _core().read_model(folder / _XML)
    for key, value in metadata.to_strings().items():
        model.set_rt_info(value, [KEY_PREFIX.rstrip("."), key.removeprefix(KEY_PREFIX)])
    _save(model, folder)
    write_json(folder / _METADATA, metadata)


def open_reader(folder: Path) -> Reader:
    """Open the model in OpenVINO on the CPU, in float32 even if the processor supports bfloat16."""
    compiled = _core().compile_model(folder / _XML, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: np.array(compiled({INPUT: images})[OUTPUT])


def _core() -> openvino.Core:
    import openvino

    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # otherwise `stamp` would write to the file that it reads
    return core


def _save(model: openvino.Model, folder: Path) -> None:
    import openvino

    openvino.save_model(model, folder / _XML, compress_to_fp16=False)


FORMATS = (
    Format(
        "openvino", "openvino", "OpenVINO", (KERAS, ONNX, OPENVINO),
        write, stamp, partial(read_json, member=_METADATA), open_reader, is_folder=True,
    ),
)  # fmt: skip
