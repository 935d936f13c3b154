"""A Keras network written as an ONNX model, layer by layer, without tracing it.

Batch normalisation is folded into the convolution before it and the scaling of grey levels into the first one's
weights, so the graph holds what has to be computed and nothing else. It works on every Keras backend.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from mnist_cnn.errors import ModelFileError
from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.onnx_layers import write_layer
from mnist_cnn.export.onnx_nodes import Graph, Tensor, Value
from mnist_cnn.models.backend import keras
from mnist_cnn.models.persistence import INPUT_SHAPE
from mnist_cnn.reading import IMAGE_SIZE
from mnist_cnn.reading.metadata import ModelMetadata

# Of 2022, so that runtimes of every age read it: ONNX Runtime from 1.12 on.
_OPSET, _IR_VERSION = 17, 8


def to_onnx(model: keras.Model, metadata: ModelMetadata | None = None) -> bytes:
    """Write the network as an ONNX model.

    Args:
        model: A Functional or Sequential model that takes [n, 28, 28, 1], grey levels 0 … 255.
        metadata: Stored as metadata properties.

    Returns:
        The file's content: float32 `image` [batch, 28, 28, 1] → float32 `probabilities` [batch, k].

    Raises:
        InputError: Another input, or a layer that has no writer in `onnx_layers`; the message names it.
    """
    if model.input_shape != INPUT_SHAPE:
        raise ModelFileError(f"the network takes {model.input_shape}, expected {INPUT_SHAPE}: raw grey images.")
    graph = Graph(reserved=[INPUT, OUTPUT])
    shape = graph.weight("channels_first/shape", np.array([0, 1, IMAGE_SIZE, IMAGE_SIZE], np.int64))  # 0: any batch
    picture = graph.add("Reshape", [INPUT, shape], (1, IMAGE_SIZE, IMAGE_SIZE), "channels_first")
    answer = graph.settle(_write_network(graph, model, picture))
    graph.nodes[-1].output[0] = OUTPUT
    written = _assemble(graph, answer, model.name)
    if metadata:
        helper.set_model_props(written, metadata.to_strings())
    onnx.checker.check_model(written, full_check=True)
    return bytes(written.SerializeToString())


def _assemble(graph: Graph, answer: Tensor, name: str) -> onnx.ModelProto:
    image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", *INPUT_SHAPE[1:]])
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", *answer.shape])
    return helper.make_model(
        helper.make_graph(graph.nodes, name, [image], [output], graph.weights),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="mnist-cnn",
        producer_version=importlib.metadata.version("mnist-cnn"),
    )


def _write_network(graph: Graph, model: keras.Model, image: Value) -> Value:
    """Write all layers of a network, which may be a layer of another one."""
    if isinstance(model, keras.Sequential):
        return functools.reduce(lambda x, layer: _write_call(graph, layer, [x]), model.layers, image)
    # The configuration that is written into every model file is the public record of what is wired to what.
    config = model.get_config()
    calls = {each["name"]: each["inbound_nodes"] for each in config.get("layers", ())}
    if not calls:
        raise ModelFileError(f"{model.name!r} is no Functional or Sequential model, so its layers cannot be read.")
    known: dict[tuple[str, int], Value] = {}

    def value(name: str, call: int) -> Value:
        if (name, call) not in known:
            known[name, call] = image if not calls[name] else written(name, call)
        return known[name, call]

    def written(name: str, call: int) -> Value:
        inputs = [value(*origin) for origin in _origins(calls[name][call]["args"])]
        return _write_call(graph, model.get_layer(name), inputs)

    name, call, _ = np.ravel(np.array(config["output_layers"], dtype=object))[:3]
    return value(name, call)


def _write_call(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    if isinstance(layer, keras.Model):
        return _write_network(graph, layer, inputs[0])
    return write_layer(graph, layer, inputs)


def _origins(arguments: Any) -> Iterator[tuple[str, int]]:
    """Find, in their order, the layers and the calls of them whose outputs a saved call takes."""
    if isinstance(arguments, Mapping):
        if "keras_history" in arguments:
            yield arguments["keras_history"][0], arguments["keras_history"][1]
        for each in arguments.values():
            yield from _origins(each)
    elif isinstance(arguments, list | tuple):
        for each in arguments:
            yield from _origins(each)
