"""How the layers of our architectures are written as ONNX: one small function per kind of layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.export.onnx_nodes import Graph, Linear, Tensor, Value
from mnist_cnn.models.backend import keras, layers
from mnist_cnn.models.folding import as_float64, factor_and_shift

Layer = Any  # Keras ships no type information


class UnsupportedLayerError(Exception):
    """A kind of layer, or an option of it, that our architectures do not use."""


def can_write(layer: Layer) -> bool:
    """Whether layers of this kind can be written, unless they have unusual options."""
    return isinstance(layer, layers.InputLayer) or type(layer) in _WRITERS


def write_layer(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Write a layer and return its output.

    Raises:
        UnsupportedLayerError: There is no writer for it.
    """
    if type(layer) not in _WRITERS:
        raise UnsupportedLayerError(layer.name)
    _require(layer, getattr(layer, "data_format", "channels_last") == "channels_last")
    return _WRITERS[type(layer)](graph, layer, inputs)


def _nothing(_graph: Graph, _layer: Layer, inputs: Sequence[Value]) -> Value:
    return inputs[0]


def _rescaling(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    _require(layer, np.ndim(layer.scale) == 0 and np.all(np.asarray(layer.offset) == 0))
    tensor = graph.write(inputs[0])
    return Tensor(tensor.name, tensor.shape, float(layer.scale))


def _convolution(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    kernel = as_float64(layer.kernel).transpose(3, 2, 0, 1)  # (h, w, in, out) → (out, in, h, w)
    linear = _convolve(graph, layer, inputs[0], kernel, layer.groups, _bias(layer, len(kernel)))
    return _activate(graph, layer, linear)


def _depthwise_convolution(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    kernel = _depthwise_kernel(layer.kernel)
    linear = _convolve(graph, layer, inputs[0], kernel, inputs[0].shape[0], _bias(layer, len(kernel)))
    return _activate(graph, layer, linear)


def _separable_convolution(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    depthwise = _depthwise_kernel(layer.depthwise_kernel)
    no_bias, groups = np.zeros(len(depthwise)), inputs[0].shape[0]
    first = replace(_convolve(graph, layer, inputs[0], depthwise, groups, no_bias), name=f"{layer.name}/depthwise")
    between = graph.write(first)
    pointwise = as_float64(layer.pointwise_kernel).transpose(3, 2, 0, 1)
    bias, shape = _bias(layer, len(pointwise)), (len(pointwise), *between.shape[1:])
    return _activate(graph, layer, Linear("Conv", between, pointwise, bias, {}, shape, layer.name))


def _dense(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    _require(layer, len(inputs[0].shape) == 1)
    tensor, factor = _without_factor(graph, inputs[0])
    kernel = as_float64(layer.kernel).T * factor  # (in, out) → (out, in)
    linear = Linear("Gemm", tensor, kernel, _bias(layer, len(kernel)), {"transB": 1}, (len(kernel),), layer.name)
    return _activate(graph, layer, linear)


def _batch_normalisation(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    x = inputs[0]
    _require(layer, layer.axis in (-1, 3) and len(x.shape) == 3)
    if isinstance(x, Linear):
        return x.then(*factor_and_shift(layer), f"{x.name}/{layer.name}")
    # After an activation: a 1×1 convolution per channel is as fast, and int8 runtimes can quantise it.
    channels = x.shape[0]
    kernel, bias = np.ones((channels, 1, 1, 1)), np.zeros(channels)
    copy = Linear("Conv", graph.write(x), kernel, bias, {"group": channels}, x.shape, layer.name)
    return copy.then(*factor_and_shift(layer), layer.name)


def _relu(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    _require(layer, layer.max_value is None and not layer.negative_slope and not layer.threshold)
    return graph.add("Relu", inputs, inputs[0].shape, layer.name)


def _leaky_relu(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    return graph.add("LeakyRelu", inputs, inputs[0].shape, layer.name, alpha=float(layer.negative_slope))


def _pooling(operator: str) -> Callable[[Graph, Layer, Sequence[Value]], Value]:
    """Return the writer of a pooling layer. Averages leave out the padding, in Keras as in ONNX."""

    def write(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
        x = inputs[0]
        windows, size = _windows(x, layer, layer.pool_size, (1, 1))
        return graph.add(operator, [x], (x.shape[0], *size), layer.name, **windows)

    return write


def _global_average(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    _require(layer, not layer.keepdims)
    channels = inputs[0].shape[0]
    pooled = graph.add("GlobalAveragePool", inputs, (channels, 1, 1), f"{layer.name}/pooled")
    return graph.add("Flatten", [pooled], (channels,), layer.name, axis=1)


def _flatten(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    x = inputs[0]
    _require(layer, len(x.shape) == 3)
    channels, height, width = x.shape
    # Keras flattens pixel by pixel. Reordering the next layer's weights instead was measured: no gain.
    pixels = graph.add("Transpose", [x], (height, width, channels), f"{layer.name}/pixels", perm=[0, 2, 3, 1])
    return graph.add("Flatten", [pixels], (math.prod(x.shape),), layer.name, axis=1)


def _add(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    _require(layer, len(inputs) == 2 and inputs[0].shape == inputs[1].shape)
    return graph.add("Add", inputs, inputs[0].shape, layer.name)


def _average(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    _require(layer, len({each.shape for each in inputs}) == 1)
    return graph.add("Mean", inputs, inputs[0].shape, layer.name)


def _concatenate(graph: Graph, layer: Layer, inputs: Sequence[Value]) -> Value:
    sizes = {each.shape[1:] for each in inputs}
    _require(layer, layer.axis in (-1, len(inputs[0].shape)) and len(sizes) == 1)  # channels are first in ONNX
    shape = (sum(each.shape[0] for each in inputs), *sizes.pop())
    return graph.add("Concat", inputs, shape, layer.name, axis=1)


_WRITERS: dict[type, Callable[[Graph, Layer, Sequence[Value]], Value]] = {
    layers.Add: _add,
    layers.Average: _average,
    layers.AveragePooling2D: _pooling("AveragePool"),
    layers.BatchNormalization: _batch_normalisation,
    layers.Concatenate: _concatenate,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.DepthwiseConv2D: _depthwise_convolution,
    layers.Dropout: _nothing,
    layers.Flatten: _flatten,
    layers.GlobalAveragePooling2D: _global_average,
    layers.LeakyReLU: _leaky_relu,
    layers.MaxPooling2D: _pooling("MaxPool"),
    layers.ReLU: _relu,
    layers.Rescaling: _rescaling,
    layers.SeparableConv2D: _separable_convolution,
}


def _convolve(
    graph: Graph, layer: Layer, x: Value, kernel: NDArray[np.float64], groups: int, bias: NDArray[np.float64]
) -> Linear:
    """Return a convolution with a layer's windows; `kernel` is [out, in / groups, height, width], `bias` [out]."""
    tensor, factor = _without_factor(graph, x)
    windows, size = _windows(tensor, layer, layer.kernel_size, layer.dilation_rate)
    attributes = {**windows, "dilations": list(layer.dilation_rate), "group": groups}
    return Linear("Conv", tensor, kernel * factor, bias, attributes, (len(kernel), *size), layer.name)


def _depthwise_kernel(kernel: Any) -> NDArray[np.float64]:
    """Convert (h, w, in, multiplier) to (in * multiplier, 1, h, w)."""
    values = as_float64(kernel)
    height, width = values.shape[:2]
    return values.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)


def _windows(
    x: Value, layer: Layer, kernel: Sequence[int], dilations: Sequence[int]
) -> tuple[dict[str, list[int]], tuple[int, ...]]:
    """Return ONNX's attributes for windows that slide over a feature map, and the sides of the output.

    For "same" padding, TensorFlow adds the odd row or column at the bottom or right.
    """
    before, after, sizes = [], [], []
    for side, width, stride, dilation in zip(x.shape[1:], kernel, layer.strides, dilations, strict=True):
        extent = (width - 1) * dilation + 1
        size = -(-side // stride) if layer.padding == "same" else (side - extent) // stride + 1
        missing = max((size - 1) * stride + extent - side, 0) if layer.padding == "same" else 0
        before.append(missing // 2)
        after.append(missing - missing // 2)
        sizes.append(size)
    return {"kernel_shape": list(kernel), "strides": list(layer.strides), "pads": before + after}, tuple(sizes)


def _activate(graph: Graph, layer: Layer, x: Value) -> Value:
    function = layer.activation
    if function is keras.activations.linear:
        return x
    if function is keras.activations.relu:
        return graph.add("Relu", [x], x.shape, f"{layer.name}/relu")
    _require(layer, function is keras.activations.softmax)
    return graph.add("Softmax", [x], x.shape, f"{layer.name}/softmax", axis=1)  # over classes or channels


def _require(layer: Layer, condition: Any) -> None:
    if not condition:
        raise UnsupportedLayerError(layer.name)


def _without_factor(graph: Graph, x: Value) -> tuple[Tensor, float]:
    """Return the input of a linear layer, and the factor that goes into the layer's weights."""
    tensor = x if isinstance(x, Tensor) else graph.write(x)
    return Tensor(tensor.name, tensor.shape), tensor.factor


def _bias(layer: Layer, outputs: int) -> NDArray[np.float64]:
    return as_float64(layer.bias) if layer.use_bias else np.zeros(outputs)
