"""A Keras network as an ONNX model: our own architectures layer by layer, any other by Keras' exporter.

Written layer by layer, batch normalisation is folded into the convolution before it and the scaling of grey levels
into the first weights. It takes milliseconds and works on every Keras backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper

from mnist_cnn.errors import ModelFileError
from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.keras_exporter import export_by_keras, require_exporter
from mnist_cnn.export.onnx_layers import UnsupportedLayerError, write_layer
from mnist_cnn.export.onnx_nodes import Graph, Value, finish_model
from mnist_cnn.models.backend import keras, layers
from mnist_cnn.models.persistence import INPUT_SHAPE
from mnist_cnn.models.unsharing import unshare
from mnist_cnn.reading.conventions import IMAGE_SIZE
from mnist_cnn.reading.metadata import ModelMetadata


def to_onnx(model: keras.Model, metadata: ModelMetadata | None = None) -> bytes:
    """Write the network as an ONNX model.

    Args:
        model: A Functional or Sequential model that takes [n, 28, 28, 1], grey levels 0 to 255.
        metadata: Stored as metadata properties.

    Returns:
        The content of a file with float32 `image` [batch, 28, 28, 1] → float32 `probabilities` [batch, k].

    Raises:
        ModelFileError: The input has another shape, or ONNX has no operator for a layer.
        SettingError: Keras' exporter is needed, but Keras does not run on TensorFlow.
        MissingExtraError: Keras' exporter is needed, but tf2onnx is not installed.
    """
    if model.input_shape != INPUT_SHAPE:
        raise ModelFileError(f"the network takes {model.input_shape}. Valid: {INPUT_SHAPE}, grey levels 0 to 255.")
    try:
        written = _write_model(model)
    except UnsupportedLayerError:
        written = export_by_keras(model)
    if metadata:
        helper.set_model_props(written, metadata.to_strings())
    return bytes(written.SerializeToString())


def check_tools(model: keras.Model) -> None:
    """Check before long work that everything is there which `to_onnx` will need.

    Raises:
        SettingError: Keras' exporter is needed, but Keras does not run on TensorFlow.
        MissingExtraError: Keras' exporter is needed, but tf2onnx is not installed.
    """
    try:
        _write_model(model)
    except UnsupportedLayerError:
        require_exporter()


def _write_model(model: keras.Model) -> onnx.ModelProto:
    graph = Graph()
    shape = graph.weight("channels_first/shape", np.array([0, 1, IMAGE_SIZE, IMAGE_SIZE], np.int64))  # 0: any batch
    image = graph.add("Reshape", [INPUT, shape], (1, IMAGE_SIZE, IMAGE_SIZE), "channels_first")
    answer = graph.write(_write_layers(graph, unshare(model), image))
    graph.nodes[-1].output[0] = OUTPUT
    return finish_model(graph, model.name, {INPUT: ("batch", *INPUT_SHAPE[1:])}, {OUTPUT: ("batch", *answer.shape)})


def _write_layers(graph: Graph, model: keras.Model, image: Value) -> Value:
    """Write all layers, each of which must be called once, in this model, as `unshare` returns it."""
    values: dict[int, Value] = {id(model.inputs[0]): image}  # by KerasTensor

    def value(tensor: Any) -> Value:
        if id(tensor) not in values:
            raise UnsupportedLayerError(str(tensor))
        return values[id(tensor)]

    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            values[id(layer.output)] = write_layer(graph, layer, [value(each) for each in inputs])
    return value(model.outputs[0])
