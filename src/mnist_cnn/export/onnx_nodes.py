"""An ONNX graph under construction: nodes, weights, and values that are written late because they may be folded.

Within the graph, feature maps are channels first, as in ONNX: [batch, channels, height, width].
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

# From 2022, so that old runtimes read it: ONNX Runtime 1.12 and later.
_OPSET, _IR_VERSION = 17, 8

Shape = tuple[int, ...]  # without the batch: (channels, height, width), or (features,)


@dataclass(frozen=True, eq=False)
class Tensor:
    """The output of a node, still to be multiplied by `factor`, which a linear layer folds into its weights."""

    name: str
    shape: Shape
    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Linear:
    """A convolution or dense layer that is not written yet: a batch normalisation may still change its weights."""

    operator: str  # "Conv" or "Gemm"
    tensor: Tensor
    kernel: NDArray[np.float64]  # [outputs, …]
    bias: NDArray[np.float64]  # [outputs]
    attributes: dict[str, Any]
    shape: Shape
    name: str

    def then(self, factor: NDArray[np.float64], shift: NDArray[np.float64], name: str) -> Linear:
        """Multiply the outputs by `factor` ([outputs]) and add `shift` ([outputs])."""
        column = factor.reshape(-1, *[1] * (self.kernel.ndim - 1))
        return replace(self, kernel=self.kernel * column, bias=self.bias * factor + shift, name=name)


Value = Tensor | Linear


class Graph:
    """Collects nodes and weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._written: dict[Value, Tensor] = {}

    def add(self, operator: str, inputs: Sequence[Value | str], shape: Shape, name: str, **attributes: Any) -> Tensor:
        """Add a node. Its inputs are values or names of weights; its single output has the node's name."""
        names = [each if isinstance(each, str) else self.write(each).name for each in inputs]
        self.nodes.append(onnx.helper.make_node(operator, names, [name], name=name, **attributes))
        return Tensor(name, shape)

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """Store an array, floating-point numbers as float32, and return its name."""
        stored = array.astype(np.float32) if array.dtype.kind == "f" else array
        self.weights.append(onnx.numpy_helper.from_array(np.asarray(stored, order="C"), name))
        return name

    def write(self, value: Value) -> Tensor:
        """Write what is still pending for `value`, once."""
        if value not in self._written:
            self._written[value] = self._write(value)
        return self._written[value]

    def _write(self, value: Value) -> Tensor:
        if isinstance(value, Linear):
            weights = [self.weight(f"{value.name}/kernel", value.kernel)]
            weights += [self.weight(f"{value.name}/bias", value.bias)] if value.bias.any() else []
            return self.add(value.operator, [value.tensor, *weights], value.shape, value.name, **value.attributes)
        if value.factor == 1:
            return value
        factor = self.weight(f"{value.name}/factor", np.array(value.factor))
        return self.add("Mul", [Tensor(value.name, value.shape), factor], value.shape, f"{value.name}/scaled")


def finish_model(
    graph: Graph, name: str, inputs: Mapping[str, Sequence[int | str]], outputs: Mapping[str, Sequence[int | str]]
) -> onnx.ModelProto:
    """Make a model of a complete graph, and check it.

    Args:
        graph: All nodes and weights.
        name: Of the network.
        inputs: The shape of each float32 input; a word stands for any size.
        outputs: The shape of each float32 output.
    """
    first, last = (
        [onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, list(shape)) for end, shape in each.items()]
        for each in (inputs, outputs)
    )
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, name, first, last, graph.weights),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="mnist-cnn",
        producer_version=importlib.metadata.version("mnist-cnn"),
    )
    onnx.checker.check_model(model, full_check=True)
    return model
