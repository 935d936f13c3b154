"""Make a LiteRT file small. In a small network, descriptions outweigh weights.

What the file computes stays the same, up to the rounding of weights that the network uses several times.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

_IDENTIFIER = b"TFL3"
_ONE_STEP = 0.02  # largest share of weights by which two quantisations of the same kernel differ, by one step


def compact(content: bytes) -> bytes:
    """Remove what an interpreter does not need, and store equal data once.

    Removed are names, signatures, metadata and the ranges that calibration found. A convolution with c channels has
    2 c zero points of 8 bytes, all of them 0: they share one vector. A kernel that the network uses several times,
    each time with another batch normalisation, differs only in its scales: these copies share one buffer.

    Args:
        content: Of a `.tflite` file.

    Returns:
        The content of a smaller file. Its input and output have positions, but no names.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.description = model.metadata = model.metadataBuffer = model.signatureDefs = None
    for graph in model.subgraphs:
        graph.name = None
        for tensor in graph.tensors:
            _strip(tensor)
    _share_buffers(model)
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _strip(tensor: Any) -> None:
    """Remove what no interpreter reads, and make vectors arrays, which `_SharingBuilder` shares."""
    tensor.name = tensor.shapeSignature = None
    if tensor.shape is not None:
        tensor.shape = np.asarray(tensor.shape, np.int32)
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None:
        tensor.quantization = None
        return
    quantization.min = quantization.max = None
    quantization.scale = np.asarray(quantization.scale, np.float32)
    quantization.zeroPoint = np.asarray(quantization.zeroPoint, np.int64)


def _share_buffers(model: Any) -> None:
    """Drop unused buffers, and let tensors with the same data use the same buffer. Buffer 0 is always empty."""
    buffers = [schema.BufferT()]
    kept: list[tuple[int, NDArray[np.int8]]] = [(-1, np.empty(0, np.int8))]  # type and content of each buffer
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None:
                tensor.buffer = 0
                continue
            content = tensor.type, np.asarray(data, np.uint8).view(np.int8)
            place = next((at for at, other in enumerate(kept) if _is_same(content, other)), len(kept))
            if place == len(kept):
                kept.append(content)
                buffers.append(model.buffers[tensor.buffer])
            tensor.buffer = place
    model.buffers = buffers


def _is_same(one: tuple[int, NDArray[np.int8]], other: tuple[int, NDArray[np.int8]]) -> bool:
    if one[0] != other[0] or one[1].shape != other[1].shape:
        return False
    steps = np.abs(one[1].astype(np.int16) - other[1])
    if one[0] != schema.TensorType.INT8:
        return not steps.any()
    # Where a weight lies between two steps, the rounding of float32 decides; either step is as good.
    return bool(steps.max(initial=0) <= 1 and steps.mean() <= _ONE_STEP)


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]  # it ships no type information
    """Writes each vector of numbers once. Readers follow offsets, and several may lead to the same place."""

    def __init__(self) -> None:
        super().__init__(1024)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802  # overrides
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]
