"""What a network costs: parameters, multiply-adds, milliseconds."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from mnist_cnn.export.onnx_graph import to_onnx
from mnist_cnn.models.backend import keras
from mnist_cnn.reading.onnx_runtime import onnxruntime

_ROUNDS, _CALLS = 7, 50


def count_costs(model: keras.Model) -> dict[str, int]:
    """Count what a space may limit."""
    return {"parameters": model.count_params(), "multiply_adds": count_multiply_adds(model)}


def describe_excess(costs: Mapping[str, int], limits: Mapping[str, int]) -> str:
    """Say over which limit a network is; an empty text where it is over none."""
    return "; ".join(
        f"{costs[name]:,} {name.replace('_', '-')} are over the limit {limit:,}"
        for name, limit in limits.items()
        if costs[name] > limit
    )


def count_multiply_adds(model: keras.Model) -> int:
    """Count the multiply-adds for one image in convolutions and dense layers, next to which all others are little.

    A kernel is applied once at each place of its layer's output.
    """
    return sum(
        math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
        for layer in model.layers
        if hasattr(layer, "kernel")
    )


def measure_latency(model: keras.Model) -> float:
    """Give the milliseconds that ONNX Runtime takes for one image, on one thread of this machine.

    The fastest of several rounds: what else the machine does can only make a round slower.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(to_onnx(model), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.zeros((1, *model.input_shape[1:]), np.float32)}
    return min(_round(session, feed) for _ in range(_ROUNDS)) * 1000 / _CALLS


def _round(session: Any, feed: dict[str, Any]) -> float:
    began = time.perf_counter()
    for _ in range(_CALLS):
        session.run(None, feed)
    return time.perf_counter() - began
