"""OpenVINO's own format: a folder with `model.xml`, `model.bin` and the metadata, all in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino

from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.check import Reader
from mnist_cnn.export.metadata_files import JSON_NAME, dump
from mnist_cnn.export.onnx_graph import to_onnx
from mnist_cnn.export.original import Original
from mnist_cnn.reading.metadata import KEY_PREFIX, ModelMetadata

_XML = "model.xml"


def write(original: Original, folder: Path) -> None:
    """Write the network by way of ONNX."""
    # Not by `openvino.convert_model`, which tells its makers over the network that it was called.
    _save(_core().read_model(to_onnx(original.model)), folder)


def stamp(folder: Path, metadata: ModelMetadata) -> None:
    """Put the metadata beside the model and into its runtime information."""
    model = _core().read_model(folder / _XML)
    for key, value in metadata.to_strings().items():
        model.set_rt_info(value, [KEY_PREFIX.rstrip("."), key.removeprefix(KEY_PREFIX)])
    _save(model, folder)
    (folder / JSON_NAME).write_text(dump(metadata), encoding="utf-8")


def open_reader(folder: Path) -> Reader:
    """Open the model in OpenVINO on the processor, computing in float32 also where it has bfloat16."""
    compiled = _core().compile_model(folder / _XML, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: np.array(compiled({INPUT: images})[OUTPUT])


def _core() -> openvino.Core:
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # else `stamp` would write to the file that it reads
    return core


def _save(model: openvino.Model, folder: Path) -> None:
    openvino.save_model(model, folder / _XML, compress_to_fp16=False)
