"""ONNX files of another maker: one matrix product, which NumPy computes too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

CLASSES = 10
TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
}


def weights(classes: int = CLASSES) -> NDArray[np.float32]:
    """float32 [784, k], fixed; for pixels in 0 … 1."""
    return (np.random.default_rng(3).standard_normal((784, classes)) / 4).astype(np.float32)


def scores(images: NDArray[np.uint8], classes: int = CLASSES) -> NDArray[np.float32]:
    """What the network below returns for uint8 [n, 28, 28], before its softmax."""
    return (images.reshape(-1, 784) / 255).astype(np.float32) @ weights(classes)


def probabilities(images: NDArray[np.uint8], temperature: float = 1.0) -> NDArray[np.float64]:
    """Its softmax."""
    powers = np.exp(scores(images).astype(np.float64) / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def make(
    shape: Sequence[int | str | None] = ("batch", 28, 28, 1),
    dtype: str = "float32",
    *,
    classes: int = CLASSES,
    grey_levels: bool = False,
    softmax: bool = True,
    inner_batch: int = -1,
    outputs: Sequence[str] = ("probabilities",),
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Write the network as an ONNX file.

    Args:
        shape: Of the input, as declared.
        dtype: Of the input and the output (float32 output for integers).
        classes: k.
        grey_levels: Whether pixels come as 0 … 255.
        softmax: Whether the last step is one.
        inner_batch: The batch size of a reshape inside; -1 for any.
        outputs: Names; all but the one called probabilities, logits or, without these, the last are the weights.
        metadata: Properties of the file.
    """
    main = next((name for name in ("probabilities", "logits") if name in outputs), outputs[-1])
    result = TYPES[dtype] if dtype.startswith("float") else TensorProto.FLOAT
    scale = np.float32(1 / 255 if grey_levels else 1)
    nodes = [
        helper.make_node("Cast", ["image"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["cast", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["scores"]),
        helper.make_node("Softmax" if softmax else "Identity", ["scores"], ["result"]),
        helper.make_node("Cast", ["result"], [main], to=result),
        *(helper.make_node("Identity", ["weights"], [name]) for name in outputs if name != main),
    ]
    constants = [
        numpy_helper.from_array(np.array([inner_batch, 784]), "flat"),
        numpy_helper.from_array(weights(classes) * scale, "weights"),
    ]
    declared = [
        helper.make_tensor_value_info(name, result, ("rows", classes))
        if name == main
        else helper.make_tensor_value_info(name, TensorProto.FLOAT, (784, classes))
        for name in outputs
    ]
    image = helper.make_tensor_value_info("image", TYPES[dtype], shape)
    graph = helper.make_graph(nodes, "linear", [image], declared, constants)
    return finish(graph, metadata)


def finish(graph: Any, metadata: Mapping[str, str] | None = None) -> bytes:
    """Write a graph as the content of a file."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    checker.check_model(model)
    return bytes(model.SerializeToString())
