"""What LiteRT for Microcontrollers needs to run a model: operators, and memory for its tensors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from mnist_cnn.errors import ModelFileError

# Operators for which the runtime has kernels in int8, as far as networks on images need them. Source: the names of the
# registration methods in tensorflow/lite/micro/micro_mutable_op_resolver.h of the project tflite-micro.
_OPERATORS = frozenset((
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "FULLY_CONNECTED",
    "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PAD", "PRELU",
    "QUANTIZE", "REDUCE_MAX", "RELU", "RELU6", "RESHAPE", "SOFTMAX", "STRIDED_SLICE", "SUB", "SUM", "TANH",
    "TRANSPOSE",
))  # fmt: skip
_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_BYTES = {schema.TensorType.INT8: 1, schema.TensorType.UINT8: 1}  # of one number; others have 4
_ALIGNMENT = 16
# Upper limits of what the interpreter of October 2026 keeps beside the tensors' values, on a machine with 64 bits.
# Pointers of 32 bits need less.
_FIXED, _PER_TENSOR, _PER_OPERATOR, _PER_CHANNEL = 1024, 24, 64 + 112, 8


def operators(content: bytes) -> list[str]:
    """Return the names of the operators that a model uses, in alphabetical order.

    Args:
        content: Of a `.tflite` file.

    Raises:
        ModelFileError: The runtime lacks one of them.
    """
    codes = schema.ModelT.InitFromPackedBuf(content, 0).operatorCodes
    names = sorted({_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in codes})
    if missing := [name for name in names if name not in _OPERATORS]:
        raise ModelFileError(
            f"the network needs {', '.join(missing)}, which LiteRT for Microcontrollers cannot compute in int8. "
            "Use other layers, such as convolutions with ReLU, or choose --format litert-int8."
        )
    return names


def registration(operator: str) -> str:
    """Return the name of the method that registers an operator: "CONV_2D" → "AddConv2D"."""
    return "Add" + operator.title().replace("_", "")


def arena_bytes(content: bytes) -> int:
    """Return how much memory the runtime needs for the tensors of a model and for itself, in whole kB of 1,024 bytes.

    The runtime can tell it exactly, on the device, but its memory must be reserved before. This is an upper limit, with
    room for the scratch memory of Arm's kernels (CMSIS-NN).

    Args:
        content: Of a `.tflite` file with one graph.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    weights = [tensor for tensor in graph.tensors if model.buffers[tensor.buffer].data is not None]
    channels = sum(len(each.quantization.scale) for each in weights if each.quantization and each.type in _BYTES)
    own = _FIXED + _PER_TENSOR * len(graph.tensors) + _PER_OPERATOR * len(graph.operators) + _PER_CHANNEL * channels
    # Two columns of inputs of one output, in int16.
    scratch = max((4 * math.prod(each.shape[1:]) for each in weights if len(each.shape) == 4), default=0)
    return math.ceil((max(_live_bytes(model, graph)) + own + scratch) / 1024) * 1024


def _live_bytes(model: Any, graph: Any) -> Iterator[int]:
    """Yield, for each operator, the bytes of all tensors that must exist while it runs."""
    steps = [[int(tensor) for tensor in (*each.inputs, *each.outputs)] for each in graph.operators]
    steps = [list(graph.inputs), *steps, list(graph.outputs)]
    times: dict[int, list[int]] = {}
    for time, tensor in itertools.chain.from_iterable(((at, each) for each in step) for at, step in enumerate(steps)):
        if tensor >= 0 and model.buffers[graph.tensors[tensor].buffer].data is None:
            times.setdefault(tensor, []).append(time)
    for time in range(len(steps)):
        yield sum(_size(graph.tensors[each]) for each, used in times.items() if used[0] <= time <= used[-1])


def _size(tensor: Any) -> int:
    size = int(math.prod(tensor.shape)) * _BYTES.get(tensor.type, 4)
    return math.ceil(size / _ALIGNMENT) * _ALIGNMENT
