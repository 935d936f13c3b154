"""A network for numbers without training: it compares columns of the line with bars that stand for digits.

NumberDigit d is a bar of 4 pixels in width whose grey level is 15 (d + 2); the columns between bars are empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mnist_cnn.reading.numbers.number_metadata import NumberMetadata
from reading.recognizer import linear

LEVELS = np.array([0, *(15 * (digit + 2) for digit in range(10))])  # of the blank and the ten digits
BOX = (-0.1, 0.25, 0.1, 0.75)


def metadata(**values: Any) -> NumberMetadata:
    """Return the metadata of the network."""
    return NumberMetadata(tuple("0123456789"), rejection_threshold=0.5, **values)


def make(properties: Mapping[str, str] | None = None, outputs: Sequence[str] = ("scores", "boxes")) -> bytes:
    """Write the network as an ONNX file: the score of a symbol falls with the square of the distance of levels."""
    levels = LEVELS / 255
    constants = {
        "axes": np.array([1]),
        "last": np.array([3]),
        "slopes": (2 * levels * 4000)[np.newaxis].astype(np.float32),  # [1, 11]
        "offsets": (-(levels**2) * 4000).astype(np.float32),  # [11]
        "box": np.array(BOX, np.float32),
        "zeros": np.zeros((1, 4), np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["images"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["channels"], ["means"], kernel_shape=[32, 4], strides=[32, 4], ceil_mode=1
        ),  # [n, 1, 1, t]
        helper.make_node("Squeeze", ["means", "axes"], ["row"]),  # [n, 1, t]
        helper.make_node("Transpose", ["row"], ["column"], perm=[0, 2, 1]),  # [n, t, 1]
        helper.make_node("MatMul", ["column", "slopes"], ["products"]),
        helper.make_node("Add", ["products", "offsets"], [outputs[0]]),
        helper.make_node("MatMul", ["column", "zeros"], ["origin"]),
        helper.make_node("Add", ["origin", "box"], [outputs[1]]),
    ]
    graph = helper.make_graph(
        nodes,
        "bars",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ("n", 32, "w", 1))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", "t", None)) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return linear.finish(graph, metadata().to_strings() if properties is None else properties)


def line(text: str, padding: int = 4) -> NDArray[np.uint8]:
    """Draw a number in the form of a prepared line: uint8 [32, w]."""
    columns = [np.zeros(padding), *(np.repeat([LEVELS[int(digit) + 1], 0], 4) for digit in text), np.zeros(padding)]
    return np.tile(np.concatenate(columns), (32, 1)).astype(np.uint8)
