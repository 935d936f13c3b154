"""Convert networks with other layers to ONNX, by Keras' own exporter."""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from mnist_cnn.errors import MissingExtraError, ModelFileError, first_line
from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.onnx_layers import can_write
from mnist_cnn.models.backend import keras, layers, ops, require_tensorflow
from mnist_cnn.models.persistence import INPUT_SHAPE


def require_exporter() -> None:
    """Check that Keras can write ONNX here.

    Raises:
        SettingError: Keras does not run on TensorFlow.
        MissingExtraError: tf2onnx is not installed.
    """
    require_tensorflow("layers other than those of mnist-cnn's architectures are written as ONNX")
    if importlib.util.find_spec("tf2onnx") is None:
        raise MissingExtraError("tf2onnx", "export")


def export_by_keras(model: keras.Model) -> onnx.ModelProto:
    """Trace the network with TensorFlow and convert it to ONNX.

    Raises:
        ModelFileError: ONNX has no operator for one of its operations.
        SettingError: Keras does not run on TensorFlow.
        MissingExtraError: tf2onnx is not installed.
    """
    require_exporter()
    signature = [keras.InputSpec(shape=INPUT_SHAPE, dtype="float32", name=INPUT)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about Keras' own use of NumPy
        file = Path(folder, "model.onnx")
        _for_inference(model).export(file, format="onnx", verbose=False, input_signature=signature)
        written = onnx.load_model(file)
    try:
        _rename(written)
        onnx.checker.check_model(written, full_check=True)
    except Exception as error:  # from several libraries
        raise ModelFileError(
            f"the network cannot be written as ONNX ({first_line(error)}). Layers that mnist-cnn's architectures do "
            f"not use: {_name_foreign(model) or 'none'}. Choose another format, such as --format savedmodel or "
            "--format litert."
        ) from error
    return written


def _for_inference(model: keras.Model) -> keras.Model:
    """Copy a network without what ONNX lacks.

    These are distortions while training, the operation behind `gelu`, and the tensors in which a `Normalization` keeps
    its statistics: tf2onnx would make them inputs.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for layer in _with_inner(copy):
        if getattr(layer, "activation", None) is keras.activations.gelu:
            layer.activation = _gelu
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # takes the copied weights
            layer.mean, layer.variance = map(ops.convert_to_numpy, (layer.mean, layer.variance))
    image = keras.Input(INPUT_SHAPE[1:], name=INPUT)
    return keras.Model(image, copy(image, training=False))


def _with_inner(model: keras.Model) -> Iterator[Any]:
    """Yield all layers, also those of nested models and those inside wrappers such as `TimeDistributed`."""
    waiting = list(model.layers)
    for layer in waiting:
        yield layer
        waiting += getattr(layer, "layers", [])
        waiting += [layer.layer] if isinstance(layer, layers.Wrapper) else []


def _name_foreign(model: keras.Model) -> str:
    """Name the layers of kinds that our own writer does not know."""
    foreign = [each for each in _with_inner(model) if not (can_write(each) or isinstance(each, keras.Model))]
    return ", ".join(f"{type(each).__name__} {each.name!r}" for each in foreign)


def _gelu(x: Any) -> Any:
    return x * (1 + ops.erf(x / 2**0.5)) / 2  # Hendrycks & Gimpel 2016


def _rename(model: onnx.ModelProto) -> None:
    """Give input, output and batch the names that they have in every export."""
    graph = model.graph
    if len(graph.input) > 1:
        raise ValueError(f"{graph.input[1].name} is neither an input nor a weight")
    names = {graph.input[0].name: INPUT, graph.output[0].name: OUTPUT}
    for node in graph.node:
        node.input[:] = [names.get(each, each) for each in node.input]
        node.output[:] = [names.get(each, each) for each in node.output]
    for value in (graph.input[0], graph.output[0]):
        value.name = names[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
