"""ONNX, in float32 and in int8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

import mnist_cnn.reading.onnx_runtime  # noqa: F401  # before any part of ONNX Runtime

# isort: split
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static  # noqa: TID251

from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.check import Reader, as_input
from mnist_cnn.export.onnx_graph import to_onnx
from mnist_cnn.export.original import Original
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.recognizer.session import start_session

_CALIBRATION_BATCH = 100
# By this the quantiser knows that shapes are inferred and nodes fused already, as `to_onnx` leaves them.
_PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}


def write(original: Original, path: Path) -> None:
    """Write the network in float32."""
    path.write_bytes(to_onnx(original.model))


def write_int8(original: Original, path: Path) -> None:
    """Write the network with int8 weights and uint8 activations, quantised around each node ("QDQ").

    Measured against fused integer operators: as fast, as accurate. Weights keep to 7 of 8 bits, since processors
    without VNNI add two products in 16 bits, which 8 bits can overflow; measured cost in accuracy: none. The last
    layer stays in float32: ten outputs take no time, and probabilities in steps of 1/256 could not be calibrated.
    """
    network = onnx.load_model_from_string(to_onnx(original.model))
    onnx.helper.set_model_props(network, _PREPARED)
    quantize_static(
        network,
        path,
        _Representative(original.representative),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=_answering_nodes(network),
    )


def stamp(path: Path, metadata: ModelMetadata) -> None:
    """Put the metadata into the model's properties."""
    model = onnx.load_model(str(path), load_external_data=False)
    onnx.helper.set_model_props(model, metadata.to_strings())
    path.write_bytes(model.SerializeToString())


def open_reader(path: Path) -> Reader:
    """Open the file in ONNX Runtime as the recogniser does, by which it cannot name other files as its weights."""
    session = start_session(path.read_bytes(), str(path), usable_cores())
    return lambda images: np.asarray(session.run([OUTPUT], {INPUT: images})[0])


def _answering_nodes(network: onnx.ModelProto) -> list[str]:
    """Give the names of the last dense layer and of what follows it."""
    nodes = list(network.graph.node)
    last = max((index for index, node in enumerate(nodes) if node.op_type == "Gemm"), default=len(nodes) - 1)
    return [node.name for node in nodes[last:]]


class _Representative(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime ships no type information
    """Hands digits to the quantiser, a batch at a time."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        starts = range(0, len(images), _CALIBRATION_BATCH)
        self._batches: Iterator[NDArray[np.float32]] = (
            as_input(images[start : start + _CALIBRATION_BATCH]) for start in starts
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Give the next batch, or None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}
