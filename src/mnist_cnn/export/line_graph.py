"""The network that reads lines, as an ONNX model for any width, with its weights in float16.

The file is half as large; ONNX Runtime converts the weights to float32 once, when it loads the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from mnist_cnn.export.onnx_layers import UnsupportedLayerError, write_layer
from mnist_cnn.export.onnx_nodes import Graph, Tensor, Value, finish_model
from mnist_cnn.models.backend import keras, layers
from mnist_cnn.reading.conventions import LINE_OUTPUTS
from mnist_cnn.reading.numbers.line_network import INPUT
from mnist_cnn.reading.numbers.line_preparation import HEIGHT, NARROWEST
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata

_SMALL = 1000  # weights; a smaller array is not worth a conversion


def to_line_onnx(model: keras.Model, metadata: NumberMetadata) -> bytes:
    """Write the network as an ONNX model.

    Args:
        model: From `build_line_network`.
        metadata: Stored as metadata properties.

    Returns:
        The content of a file with float32 `images` [n, 32, w, 1] → float32 `scores` [n, w / 4, 11] and `boxes`
        [n, w / 4, 4]; w is a multiple of 4.

    Raises:
        UnsupportedLayerError: It has a layer of another kind.
    """
    graph = Graph()
    # A nominal width: only heights and channels matter to the nodes, because w is a multiple of 4.
    image = graph.add("Transpose", [INPUT], (1, HEIGHT, NARROWEST), "channels_first", perm=[0, 3, 1, 2])
    answers = _write_layers(graph, model, image)
    for name, answer in zip(LINE_OUTPUTS, answers, strict=True):
        graph.nodes[_index(graph, answer)].output[0] = name
    outputs = {name: ("n", "columns", answer.shape[-1]) for name, answer in zip(LINE_OUTPUTS, answers, strict=True)}
    _halve(graph)
    written = finish_model(graph, model.name, {INPUT: ("n", HEIGHT, "width", 1)}, outputs)
    helper.set_model_props(written, metadata.to_strings())
    return bytes(written.SerializeToString())


def _write_layers(graph: Graph, model: keras.Model, image: Value) -> list[Tensor]:
    values: dict[int, Value] = {id(model.inputs[0]): image}  # by KerasTensor
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        inputs = [values[id(each)] for each in (layer.input if isinstance(layer.input, list) else [layer.input])]
        write = _write_columns if isinstance(layer, layers.Reshape) else write_layer
        values[id(layer.output)] = write(graph, layer, inputs)
    return [graph.write(values[id(each)]) for each in model.outputs]


def _write_columns(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """Write the reshape of one row of features: [n, k, 1, t] → [n, t, k]."""
    x = inputs[0]
    channels, height, columns = x.shape
    if height != 1 or layer.target_shape != (-1, channels):
        raise UnsupportedLayerError(layer.name)
    row = graph.weight(f"{layer.name}/row", np.array([2], np.int64))
    squeezed = graph.add("Squeeze", [x, row], (channels, columns), f"{layer.name}/squeezed")
    return graph.add("Transpose", [squeezed], (columns, channels), layer.name, perm=[0, 2, 1])


def _index(graph: Graph, answer: Tensor) -> int:
    return next(index for index, node in enumerate(graph.nodes) if answer.name in node.output)


def _halve(graph: Graph) -> None:
    """Store large weights in float16, with conversions before all other nodes."""
    conversions = []
    for index, weight in enumerate(graph.weights):
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float32 and array.size >= _SMALL:
            stored = f"{weight.name}/float16"
            conversions.append(helper.make_node("Cast", [stored], [weight.name], to=TensorProto.FLOAT))
            graph.weights[index] = numpy_helper.from_array(array.astype(np.float16), stored)
    graph.nodes[:0] = conversions
