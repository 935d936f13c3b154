"""How each kind of Keras layer is written as ONNX: one small function per kind, found by the layer's class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import ModelFileError
from mnist_cnn.export.onnx_nodes import Graph, Linear, Scaled, Shape, Tensor, Value
from mnist_cnn.models.backend import keras, layers

Layer = Any  # Keras ships no type information
Writer = Callable[[Graph, Layer, Sequence[Value]], Value]

WRITERS: dict[type, Writer] = {}

# Activations that are one ONNX operator, by the name of Keras' function.
_OPERATORS: dict[str, tuple[str, dict[str, float]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_silu": ("HardSwish", {}),
    "softmax": ("Softmax", {"axis": 1}),  # over classes or channels
    "softplus": ("Softplus", {}),
    "tanh": ("Tanh", {}),
}
_ACTIVATIONS = sorted([*_OPERATORS, "gelu", "linear", "relu6", "silu"])


def write_layer(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Write one call of a layer and give its output.

    Raises:
        InputError: A kind of layer, or an option of it, that has no writer here.
    """
    writer = WRITERS.get(type(layer))
    if writer is None:
        known = ", ".join(sorted(kind.__name__ for kind in WRITERS))
        raise ModelFileError(
            f"layer {layer.name!r} is a {type(layer).__name__}, which cannot be written as ONNX. Supported: {known}."
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        _refuse(layer, f"data_format={layer.data_format!r}", "channels_last")
    return writer(graph, layer, inputs)


def _writes(*kinds: type) -> Callable[[Writer], Writer]:
    def register(writer: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(kinds, writer))
        return writer

    return register


@_writes(
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
    layers.RandomFlip,
    layers.RandomRotation,
    layers.RandomTranslation,
    layers.RandomZoom,
    layers.Identity,
)
def _nothing(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return inputs[0]  # these act while training only


@_writes(layers.Rescaling)
def _rescaling(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    scale, offset = np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
    if scale.ndim or offset.ndim:
        _refuse(layer, "one scale per channel", "one number")
    if scale == 1 and not offset:
        return inputs[0]
    scaled = Scaled(graph.settle(inputs[0]), float(scale), layer.name)
    if not offset:
        return scaled
    return graph.add(
        "Add", [scaled, graph.weight(f"{layer.name}/offset", offset)], scaled.shape, f"{layer.name}/shifted"
    )


@_writes(layers.Conv2D)
def _convolution(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    kernel = _weights(layer.kernel).transpose(3, 2, 0, 1)  # (h, w, in, out) → (out, in, h, w)
    linear = _windowed(graph, layer, inputs[0], kernel, _bias(layer, len(kernel)), layer.groups)
    return _activate(graph, layer, linear)


@_writes(layers.DepthwiseConv2D)
def _depthwise(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    kernel = _depthwise_kernel(layer.kernel)
    linear = _windowed(graph, layer, inputs[0], kernel, _bias(layer, len(kernel)), inputs[0].shape[0])
    return _activate(graph, layer, linear)


@_writes(layers.SeparableConv2D)
def _separable(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    kernel = _depthwise_kernel(layer.depthwise_kernel)
    depthwise = _windowed(
        graph, layer, inputs[0], kernel, np.zeros(len(kernel)), inputs[0].shape[0], name=f"{layer.name}/depthwise"
    )
    pointwise = _weights(layer.pointwise_kernel).transpose(3, 2, 0, 1)  # (1, 1, in, out) → (out, in, 1, 1)
    mixed = Linear(
        operator="Conv",
        tensor=graph.settle(depthwise),
        kernel=pointwise,
        bias=_bias(layer, len(pointwise)),
        attributes={},
        shape=(len(pointwise), *depthwise.shape[1:]),
        name=layer.name,
    )
    return _activate(graph, layer, mixed)


@_writes(layers.Dense)
def _dense(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    if len(inputs[0].shape) != 1:
        _refuse(layer, "a picture as input", "a row of features: put Flatten or GlobalAveragePooling2D before it")
    kernel = _weights(layer.kernel).T  # (in, out) → (out, in)
    tensor, factor = _without_factor(graph, inputs[0])
    linear = Linear(
        operator="Gemm",
        tensor=tensor,
        kernel=kernel * factor,
        bias=_bias(layer, len(kernel)),
        attributes={"transB": 1},
        shape=(len(kernel),),
        name=layer.name,
    )
    return _activate(graph, layer, linear)


@_writes(layers.BatchNormalization)
def _batch_normalisation(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    x = inputs[0]
    if layer.axis not in (-1, len(x.shape)):
        _refuse(layer, f"axis={layer.axis}", "-1")
    mean, variance = _weights(layer.moving_mean), _weights(layer.moving_variance)
    scale = _weights(layer.gamma) if layer.scale else np.ones_like(mean)
    offset = _weights(layer.beta) if layer.center else np.zeros_like(mean)
    factor = scale / np.sqrt(variance + layer.epsilon)
    shift = offset - mean * factor
    if isinstance(x, Linear):
        return x.then(factor, shift)
    if len(x.shape) == 3:
        # After an activation: a 1×1 convolution per channel is as fast, and int8 runtimes can quantise it.
        return _channelwise(graph, x, layer.name).then(factor, shift)
    scaled = graph.add("Mul", [x, graph.weight(f"{layer.name}/factor", factor)], x.shape, f"{layer.name}/scaled")
    return graph.add("Add", [scaled, graph.weight(f"{layer.name}/shift", shift)], x.shape, layer.name)


@_writes(layers.Activation)
def _activation(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return _activate(graph, layer, inputs[0], name=layer.name)


@_writes(layers.ReLU)
def _relu(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    x = inputs[0]
    if layer.threshold or (layer.negative_slope and layer.max_value is not None):
        _refuse(layer, "a threshold, or a slope and a maximum", "a slope or a maximum")
    if layer.max_value is not None:
        return _clip(graph, x, float(layer.max_value), layer.name)
    if layer.negative_slope:
        return graph.add("LeakyRelu", [x], x.shape, layer.name, alpha=float(layer.negative_slope))
    return graph.add("Relu", [x], x.shape, layer.name)


@_writes(layers.LeakyReLU)
def _leaky_relu(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return graph.add("LeakyRelu", inputs, inputs[0].shape, layer.name, alpha=float(layer.negative_slope))


@_writes(layers.Softmax)
def _softmax(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    if layer.axis not in (-1, len(inputs[0].shape)):
        _refuse(layer, f"axis={layer.axis}", "-1")
    return graph.add("Softmax", inputs, inputs[0].shape, layer.name, axis=1)


@_writes(layers.MaxPooling2D)
def _max_pooling(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return _pooling(graph, layer, inputs[0], "MaxPool")


@_writes(layers.AveragePooling2D)
def _average_pooling(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return _pooling(graph, layer, inputs[0], "AveragePool", count_include_pad=0)


@_writes(layers.GlobalAveragePooling2D)
def _global_average(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return _global_pooling(graph, layer, inputs[0], "GlobalAveragePool")


@_writes(layers.GlobalMaxPooling2D)
def _global_max(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return _global_pooling(graph, layer, inputs[0], "GlobalMaxPool")


@_writes(layers.Flatten)
def _flatten(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    x = inputs[0]
    if len(x.shape) == 1:
        return x
    return graph.add("Flatten", [_in_keras_order(graph, layer, x)], (math.prod(x.shape),), layer.name, axis=1)


@_writes(layers.Reshape)
def _reshape(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    x = _in_keras_order(graph, layer, inputs[0])
    target = tuple(layer.compute_output_shape((None, *x.shape))[1:])
    if len(target) != 3 or target[2] == 1:  # one channel is first and last alike
        shape = target if len(target) != 3 else (1, *target[:2])
        return graph.add("Reshape", [x, _shape(graph, layer, shape)], shape, layer.name)
    height, width, channels = target
    pixels = graph.add("Reshape", [x, _shape(graph, layer, target)], target, f"{layer.name}/pixels")
    return graph.add("Transpose", [pixels], (channels, height, width), layer.name, perm=[0, 3, 1, 2])


@_writes(layers.ZeroPadding2D)
def _zero_padding(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    channels, height, width = inputs[0].shape
    (top, bottom), (left, right) = layer.padding
    pads = graph.weight(f"{layer.name}/pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    return graph.add("Pad", [inputs[0], pads], (channels, height + top + bottom, width + left + right), layer.name)


@_writes(layers.Add)
def _add(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return _merged(graph, layer, inputs, "Add")


@_writes(layers.Multiply)
def _multiply(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return _merged(graph, layer, inputs, "Mul")


@_writes(layers.Average)
def _average(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return graph.add("Mean", inputs, _broadcast(inputs), layer.name)


@_writes(layers.Maximum)
def _maximum(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return graph.add("Max", inputs, _broadcast(inputs), layer.name)


@_writes(layers.Concatenate)
def _concatenate(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    shape = inputs[0].shape
    if layer.axis not in (-1, len(shape)):
        _refuse(layer, f"axis={layer.axis}", "-1")
    channels = sum(each.shape[0] for each in inputs)
    return graph.add("Concat", inputs, (channels, *shape[1:]), layer.name, axis=1)


def _windowed(
    graph: Graph,
    layer: Layer,
    x: Value,
    kernel: NDArray[np.float64],
    bias: NDArray[np.float64],
    groups: int,
    name: str = "",
) -> Linear:
    """Give the convolution of `x` with `kernel` ([out, in / groups, h, w])."""
    tensor, factor = _without_factor(graph, x)  # padding is with 0, which no factor changes
    pads, size = _window(tensor.shape[1:], layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
    return Linear(
        operator="Conv",
        tensor=tensor,
        kernel=kernel * factor,
        bias=bias,
        attributes={
            "kernel_shape": list(layer.kernel_size),
            "strides": list(layer.strides),
            "dilations": list(layer.dilation_rate),
            "pads": pads,
            "group": groups,
        },
        shape=(len(kernel), *size),
        name=name or layer.name,
    )


def _channelwise(graph: Graph, x: Value, name: str) -> Linear:
    """Give the convolution that copies each channel."""
    channels = x.shape[0]
    return Linear(
        operator="Conv",
        tensor=graph.settle(x),
        kernel=np.ones((channels, 1, 1, 1)),
        bias=np.zeros(channels),
        attributes={"group": channels},
        shape=x.shape,
        name=name,
    )


def _pooling(graph: Graph, layer: Layer, x: Value, operator: str, **attributes: int) -> Value:
    pads, size = _window(x.shape[1:], layer.pool_size, layer.strides, (1, 1), layer.padding)
    windows = {"kernel_shape": list(layer.pool_size), "strides": list(layer.strides), "pads": pads}
    return graph.add(operator, [x], (x.shape[0], *size), layer.name, **windows, **attributes)


def _global_pooling(graph: Graph, layer: Layer, x: Value, operator: str) -> Value:
    channels = x.shape[0]
    pooled = graph.add(operator, [x], (channels, 1, 1), f"{layer.name}/pooled" if not layer.keepdims else layer.name)
    return pooled if layer.keepdims else graph.add("Flatten", [pooled], (channels,), layer.name, axis=1)


def _merged(graph: Graph, layer: Layer, inputs: Sequence[Value], operator: str) -> Value:
    first, *others = inputs  # ONNX adds and multiplies two at a time
    for other in others:
        first = graph.add(operator, [first, other], _broadcast([first, other]), layer.name)
    return first


def _broadcast(inputs: Sequence[Value]) -> Shape:
    return np.broadcast_shapes(*(each.shape for each in inputs))


def _window(
    sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: str
) -> tuple[list[int], tuple[int, ...]]:
    """Give ONNX's pads (top, left, bottom, right) and the output's sides for windows sliding over a picture.

    "same" is TensorFlow's: of an odd number of rows or columns to add, one more goes to the bottom or right.
    """
    before, after, sizes = [], [], []
    for side, width, stride, dilation in zip(sides, kernel, strides, dilations, strict=True):
        extent = (width - 1) * dilation + 1
        size = -(-side // stride) if padding == "same" else (side - extent) // stride + 1
        missing = max((size - 1) * stride + extent - side, 0) if padding == "same" else 0
        before.append(missing // 2)
        after.append(missing - missing // 2)
        sizes.append(size)
    return before + after, tuple(sizes)


def _activate(graph: Graph, layer: Layer, x: Value, name: str = "") -> Value:
    """Write the layer's activation function over `x`."""
    function = getattr(layer.activation, "__name__", type(layer.activation).__name__)
    name = name or f"{layer.name}/{function}"
    match function:
        case "linear":
            return x
        case "relu6":
            return _clip(graph, x, 6.0, name)
        case "silu":  # x · sigmoid(x)
            gate = graph.add("Sigmoid", [x], x.shape, f"{name}/gate")
            return graph.add("Mul", [x, gate], x.shape, name)
        case "gelu":
            return _gelu(graph, x, name)
    if function not in _OPERATORS:
        _refuse(layer, f"the activation {function!r}", ", ".join(_ACTIVATIONS))
    operator, attributes = _OPERATORS[function]
    return graph.add(operator, [x], x.shape, name, **attributes)


def _in_keras_order(graph: Graph, layer: Layer, x: Value) -> Value:
    """Give a picture pixel by pixel, as Keras lays it out; whatever has one channel or is no picture is so already.

    Sorting the next layer's weights instead was measured: no gain.
    """
    if len(x.shape) != 3 or x.shape[0] == 1:
        return x if len(x.shape) != 3 else _relabelled(graph, x)
    channels, height, width = x.shape
    return graph.add("Transpose", [x], (height, width, channels), f"{layer.name}/pixels", perm=[0, 2, 3, 1])


def _relabelled(graph: Graph, x: Value) -> Tensor:
    """Call a picture of one channel [height, width, 1]; its numbers lie in the same order."""
    _, height, width = x.shape
    return Tensor(graph.settle(x).name, (height, width, 1))


def _shape(graph: Graph, layer: Layer, shape: Shape) -> str:
    return graph.weight(f"{layer.name}/shape", np.array([0, *shape], np.int64))  # 0: any batch


def _clip(graph: Graph, x: Value, highest: float, name: str) -> Tensor:
    limits = [graph.weight(f"{name}/{word}", np.array(value)) for word, value in (("low", 0.0), ("high", highest))]
    return graph.add("Clip", [x, *limits], x.shape, name)


def _gelu(graph: Graph, x: Value, name: str) -> Tensor:
    # x · (1 + erf(x / √2)) / 2 (Hendrycks & Gimpel 2016); ONNX has it as one operator from version 20 on only.
    root, one, half = (
        graph.weight(f"{name}/{word}", np.array(value))
        for word, value in (("root", np.sqrt(0.5)), ("one", 1.0), ("half", 0.5))
    )
    inner = graph.add("Mul", [x, root], x.shape, f"{name}/scaled")
    error = graph.add("Erf", [inner], x.shape, f"{name}/erf")
    gate = graph.add("Mul", [graph.add("Add", [error, one], x.shape, f"{name}/sum"), half], x.shape, f"{name}/gate")
    return graph.add("Mul", [x, gate], x.shape, name)


def _without_factor(graph: Graph, x: Value) -> tuple[Tensor, float]:
    return (x.tensor, x.factor) if isinstance(x, Scaled) else (graph.settle(x), 1.0)


def _depthwise_kernel(variable: Any) -> NDArray[np.float64]:
    kernel = _weights(variable)  # (h, w, in, multiplier)
    height, width = kernel.shape[:2]
    return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)


def _bias(layer: Layer, outputs: int) -> NDArray[np.float64]:
    return _weights(layer.bias) if layer.use_bias else np.zeros(outputs)


def _weights(variable: Any) -> NDArray[np.float64]:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)


def _refuse(layer: Layer, given: str, valid: str) -> NoReturn:
    raise ModelFileError(f"layer {layer.name!r} has {given}, which cannot be written as ONNX. Supported: {valid}.")
