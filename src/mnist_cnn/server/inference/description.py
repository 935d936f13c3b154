"""The one model that is served, as the protocol describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_cnn.reading.ink.form import SIZE
from mnist_cnn.server.inference.objects import ModelMetadata, TensorMetadata

VERSION = "1"  # the only one
_SHIPPED = "digits"
_IN_RUN = ("exports", "model.onnx")  # where a run's export lies


def model_name(path: Path | None) -> str:
    """Name a model: the run that a file was exported from, else the file.

    Args:
        path: What the server was given; None for the weights that ship.
    """
    if path is None:
        return _SHIPPED
    path = path.absolute()
    if path.is_dir():
        return path.name
    return path.parts[-3] if path.parts[-2:] == _IN_RUN and len(path.parts) > 3 else path.stem


def describe(name: str, classes: int) -> ModelMetadata:
    """Give the metadata of a model with so many classes."""
    return ModelMetadata(
        name=name,
        versions=[VERSION],
        platform="onnxruntime_onnx",
        inputs=[TensorMetadata(name="image", datatype="FP32", shape=[-1, SIZE, SIZE, 1])],
        outputs=[
            TensorMetadata(name="probabilities", datatype="FP32", shape=[-1, classes]),
            TensorMetadata(name="digit", datatype="INT64", shape=[-1]),
            TensorMetadata(name="accepted", datatype="BOOL", shape=[-1]),
        ],
    )


def configure(metadata: ModelMetadata, max_images: int) -> dict[str, Any]:
    """Give what Triton's `config.pbtxt` would hold for this model.

    Args:
        metadata: From `describe`.
        max_images: That one request may hold.
    """
    return {
        "name": metadata.name,
        "platform": metadata.platform,
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": max_images,
        "input": [{**_tensor(each), "format": "FORMAT_NHWC"} for each in metadata.inputs],
        "output": [_tensor(each) for each in metadata.outputs],
        "dynamic_batching": {},  # requests that wait at the same time are read together
    }


def _tensor(metadata: TensorMetadata) -> dict[str, Any]:
    """Describe a tensor without its first dimension, the batch; Triton knows no empty shape but as a reshaped one."""
    tensor = {"name": metadata.name, "data_type": f"TYPE_{metadata.datatype}", "dims": metadata.shape[1:] or [1]}
    return tensor if metadata.shape[1:] else {**tensor, "reshape": {"shape": []}}
