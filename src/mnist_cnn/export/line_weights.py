"""The weights of the network that reads lines, back from its ONNX file, so that training can go on from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from mnist_cnn.models.backend import keras, layers

Weights: TypeAlias = list[NDArray[np.float32]]
_FLAT = 1e-6  # variance of a channel that is the same everywhere


def from_line_onnx(content: bytes, model: keras.Model, images: NDArray[np.float32]) -> Weights:
    """Return weights with which `model` computes what an ONNX file computes.

    The file has no batch statistics, because they were folded into convolutions. They are measured again, and factors
    and shifts are chosen so that they change nothing. Convolutions before them are scaled to outputs of variance 1:
    with Adam, how fast a normalised layer learns depends on the size of its weights.

    Args:
        content: Of a file from `to_line_onnx`.
        model: From `build_line_network`, with the widths of the file's network. Its weights are replaced.
        images: [n, 32, w, 1], lines on which the statistics are measured; some hundreds.

    Raises:
        ValueError: The file's network has other layers or widths.
    """
    stored = {each.name: numpy_helper.to_array(each) for each in onnx.load_model_from_string(content).graph.initializer}
    normalised: list[tuple[Any, Any]] = []  # a convolution, and the normalisation after it
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, bias = _kernel_and_bias(stored, layer)
            layer.set_weights([kernel.transpose(2, 3, 1, 0), bias])
            convolution = layer
        elif isinstance(layer, layers.BatchNormalization):
            _set_linear(layer, stored)
            normalised.append((convolution, layer))
    seen = keras.Model(model.inputs, [layer.input for _, layer in normalised]).predict(images, verbose=0)
    for (convolution, layer), values in zip(normalised, seen, strict=True):
        _set_statistics(convolution, layer, values.reshape(-1, values.shape[-1]))
    weights: Weights = model.get_weights()
    return weights


def average_line_onnx(contents: Sequence[bytes], shares: Sequence[float]) -> bytes:
    """Average the weights of files of one network that were trained from each other.

    Such an average is often more accurate than each of them, at the cost of one (model soups, Wortsman et al. 2022).

    Args:
        contents: Of files from `to_line_onnx`.
        shares: Of each file; their sum is 1.

    Returns:
        The content of a file like the first one, with its metadata.

    Raises:
        ValueError: The files' networks have other layers or widths.
    """
    first, *others = (onnx.load_model_from_string(content) for content in contents)
    stored = [{each.name: numpy_helper.to_array(each) for each in other.graph.initializer} for other in others]
    for tensor in first.graph.initializer:
        own = numpy_helper.to_array(tensor)
        found = [own, *(each.get(tensor.name, np.empty(0)) for each in stored)]
        if any(each.shape != own.shape for each in found):
            raise ValueError(f"the files have other weights {tensor.name}")
        if own.dtype.kind == "f":
            mean = sum(share * each.astype(np.float64) for share, each in zip(shares, found, strict=True))
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(mean, own.dtype), tensor.name))
    content: bytes = first.SerializeToString()
    return content


def _kernel_and_bias(stored: dict[str, NDArray[Any]], layer: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find what was written for a layer: its own arrays, or those with the normalisation after it."""
    own = [name for name in stored if name.split("/")[0] == layer.name]
    found = {name.removesuffix("/float16").split("/")[-1]: name for name in own}
    if "kernel" not in found:
        raise ValueError(f"the file has no weights for the layer {layer.name}")
    kernel = stored[found["kernel"]].astype(np.float32)
    bias = stored[found["bias"]].astype(np.float32) if "bias" in found else np.zeros(len(kernel), np.float32)
    return kernel, bias


def _set_linear(layer: Any, stored: dict[str, NDArray[Any]]) -> None:
    """Set factor and shift as the file has them, with statistics that do nothing."""
    channels = layer.gamma.shape[0]
    written = any(name.split("/")[0] == layer.name for name in stored)
    factor, shift = _kernel_and_bias(stored, layer) if written else (np.ones(channels), np.zeros(channels))
    layer.set_weights([factor.reshape(-1), shift, np.zeros(channels), np.full(channels, 1 - layer.epsilon)])


def _set_statistics(convolution: Any, layer: Any, values: NDArray[np.float32]) -> None:
    """Divide each channel by its standard deviation, and multiply by it in the normalisation.

    A pooling between the two changes nothing: the largest value stays the largest.
    """
    kernel, bias = convolution.get_weights()
    factor, shift = (np.asarray(each, np.float64) for each in layer.get_weights()[:2])
    mean = values.mean(axis=0, dtype=np.float64)
    spread = np.sqrt(np.maximum(values.var(axis=0, dtype=np.float64), _FLAT))
    convolution.set_weights([kernel / spread, bias / spread])
    layer.set_weights([factor * spread, shift + factor * mean, mean / spread, np.full(len(mean), 1 - layer.epsilon)])
