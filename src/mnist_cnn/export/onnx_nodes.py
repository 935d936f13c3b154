"""An ONNX graph in the making: nodes, weights, and values that are not written yet because they may become cheaper.

Inside the graph a picture is channels first, as ONNX has it: [batch, channels, height, width].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Shape = tuple[int, ...]  # without the batch: (channels, height, width), or (features,)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor that a node of the graph gives."""

    name: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Scaled:
    """A tensor still to be multiplied by a number, which a linear layer takes into its weights."""

    tensor: Tensor
    factor: float
    name: str

    @property
    def shape(self) -> Shape:
        """As of the tensor."""
        return self.tensor.shape


@dataclass(frozen=True, eq=False)
class Linear:
    """A convolution or dense layer still to be written, whose weights a batch normalisation may yet change."""

    operator: str  # "Conv" or "Gemm"
    tensor: Tensor
    kernel: NDArray[np.float64]  # [outputs, …]
    bias: NDArray[np.float64]  # [outputs]
    attributes: dict[str, Any]
    shape: Shape
    name: str

    def then(self, factor: NDArray[np.float64], shift: NDArray[np.float64]) -> Linear:
        """Give the layer whose outputs are `factor` ([outputs]) times these, plus `shift` ([outputs])."""
        column = factor.reshape(-1, *[1] * (self.kernel.ndim - 1))
        return replace(self, kernel=self.kernel * column, bias=self.bias * factor + shift)


Value = Tensor | Scaled | Linear


class Graph:
    """Collects nodes and weights; every name is used once."""

    def __init__(self, reserved: Sequence[str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._names = set(reserved)
        self._settled: dict[Value, Tensor] = {}

    def add(self, operator: str, inputs: Sequence[Value | str], shape: Shape, name: str, **attributes: Any) -> Tensor:
        """Write a node; its inputs are values, or names of weights, and its one output has the node's name."""
        names = [each if isinstance(each, str) else self.settle(each).name for each in inputs]
        output = self._unused(name)
        self.nodes.append(onnx.helper.make_node(operator, names, [output], name=output, **attributes))
        return Tensor(output, shape)

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """Store an array, floating-point numbers as float32, and give its name."""
        stored = array.astype(np.float32) if array.dtype.kind == "f" else array
        unused = self._unused(name)
        self.weights.append(onnx.numpy_helper.from_array(np.asarray(stored, order="C"), unused))
        return unused

    def settle(self, value: Value) -> Tensor:
        """Write what is still to be done to `value`, once."""
        if isinstance(value, Tensor):
            return value
        if value not in self._settled:
            self._settled[value] = self._write(value)
        return self._settled[value]

    def _write(self, value: Scaled | Linear) -> Tensor:
        match value:
            case Scaled():
                factor = self.weight(f"{value.name}/factor", np.array(value.factor))
                return self.add("Mul", [value.tensor, factor], value.shape, value.name)
            case Linear():
                weights = [
                    self.weight(f"{value.name}/kernel", value.kernel),
                    *([self.weight(f"{value.name}/bias", value.bias)] if value.bias.any() else []),
                ]
                return self.add(value.operator, [value.tensor, *weights], value.shape, value.name, **value.attributes)

    def _unused(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate
