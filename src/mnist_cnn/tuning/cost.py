"""What a network costs: parameters, multiply-adds, milliseconds."""

from __future__ import annotations

import math
import timeit
from collections.abc import Callable, Mapping

import numpy as np

from mnist_cnn.export.onnx_graph import to_onnx
from mnist_cnn.models.backend import keras
from mnist_cnn.models.unsharing import unshare
from mnist_cnn.reading.onnx_runtime import onnxruntime

_ROUNDS, _CALLS = 7, 50
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")  # attributes of layers


def count_costs(model: keras.Model) -> dict[str, int]:
    """Count what a space may limit."""
    return {"parameters": model.count_params(), "multiply_adds": count_multiply_adds(model)}


def describe_excess(costs: Mapping[str, int], limits: Mapping[str, int]) -> str:
    """Describe which limits a network exceeds; an empty text if none."""
    return "; ".join(
        f"{costs[name]:,} {name.replace('_', '-')} are over the limit {limit:,}"
        for name, limit in limits.items()
        if costs[name] > limit
    )


def count_multiply_adds(model: keras.Model) -> int:
    """Count the multiply-adds per image in convolutions and dense layers; those of other layers are negligible.

    A kernel is applied once at each position of its layer's output, each time that the layer is called.
    """
    return sum(
        math.prod(getattr(layer, kernel).shape) * math.prod(layer.output.shape[1:-1])
        for layer in unshare(model).layers
        for kernel in _KERNELS
        if hasattr(layer, kernel)
    )


def measure_latency(model: keras.Model) -> float:
    """Return the milliseconds per image of ONNX Runtime on one thread: the fastest of several rounds."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(to_onnx(model), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.zeros((1, *model.input_shape[1:]), np.float32)}
    rounds = timeit.repeat(lambda: session.run(None, feed), number=_CALLS, repeat=_ROUNDS)
    return min(rounds) * 1000 / _CALLS


# Objectives that are measured after training; accuracy and `count_costs` are known anyway.
MEASURES: dict[str, Callable[[keras.Model], float]] = {"latency": measure_latency}
