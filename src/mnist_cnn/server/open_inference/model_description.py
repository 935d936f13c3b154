"""The model of the server, as the protocol describes it."""

from __future__ import annotations

from typing import Any

from mnist_cnn.reading.conventions import IMAGE_SIZE
from mnist_cnn.server.open_inference.objects import TensorMetadata, TensorModel

VERSION = "1"  # the only one


def describe(name: str, classes: int) -> TensorModel:
    """Describe the tensors of a model.

    Args:
        name: Of the model.
        classes: Number of classes.
    """
    return TensorModel(
        name=name,
        versions=[VERSION],
        platform="onnxruntime_onnx",
        inputs=[TensorMetadata(name="image", datatype="FP32", shape=[-1, IMAGE_SIZE, IMAGE_SIZE, 1])],
        outputs=[
            TensorMetadata(name="probabilities", datatype="FP32", shape=[-1, classes]),
            TensorMetadata(name="digit", datatype="INT64", shape=[-1]),
            TensorMetadata(name="accepted", datatype="BOOL", shape=[-1]),
        ],
    )


def configure(model: TensorModel, max_images: int) -> dict[str, Any]:
    """Return what Triton's `config.pbtxt` would contain for this model.

    Args:
        model: From `describe`.
        max_images: Most images in one request.
    """
    return {
        "name": model.name,
        "platform": model.platform,
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": max_images,
        "input": [{**_tensor(each), "format": "FORMAT_NHWC"} for each in model.inputs],
        "output": [_tensor(each) for each in model.outputs],
        "dynamic_batching": {},  # requests that arrive at the same time are read together
    }


def _tensor(metadata: TensorMetadata) -> dict[str, Any]:
    """Describe a tensor without its first dimension, the batch. Triton writes an empty shape as a reshaped one."""
    tensor = {"name": metadata.name, "data_type": f"TYPE_{metadata.datatype}", "dims": metadata.shape[1:] or [1]}
    return tensor if metadata.shape[1:] else {**tensor, "reshape": {"shape": []}}
