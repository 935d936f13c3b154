"""LiteRT (TensorFlow Lite) in float32 and int8, written by TensorFlow's converter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.export import INPUT, OUTPUT
from mnist_cnn.export.formats import saved_model
from mnist_cnn.export.formats.format import KERAS, LITERT, TENSORFLOW, Format, Reader, as_input
from mnist_cnn.export.metadata_files import attach, read_attached

if TYPE_CHECKING:
    from mnist_cnn.export.original import Original


def write(original: Original, path: Path) -> None:
    """Write the network in float32."""
    with tempfile.TemporaryDirectory() as folder:
        saved_model.write_model(original.model, Path(folder))
        path.write_bytes(_converter(folder).convert())


def write_int8(original: Original, path: Path) -> None:
    """Write the network with int8 weights and activations; image and probabilities stay float32.

    The last dense layer and the softmax stay in float32: LiteRT's int8 softmax has steps of 1/256, which cannot be
    calibrated (measured on MNIST's test set: log loss 0.0161 against 0.0112).
    """
    import tensorflow as tf

    from mnist_cnn.export.channelwise import normalise_by_convolution
    from mnist_cnn.models.unsharing import unshare

    with tempfile.TemporaryDirectory() as folder:
        saved_model.write_model(normalise_by_convolution(unshare(original.model)), Path(folder))
        options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=["SOFTMAX"], denylisted_nodes=_answer_tensors(_converter(folder).convert())
        )
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=quantiser(folder, original.representative),
            debug_dataset=lambda: _inputs(original.representative[:1]),
            debug_options=options,
        )
        path.write_bytes(debugger.get_nondebug_quantized_model())


def open_reader(path: Path) -> Reader:
    """Open the file in LiteRT's interpreter."""
    ask = _interpreter(path.read_bytes()).get_signature_runner()
    return lambda images: np.array(ask(**{INPUT: images})[OUTPUT])


def _interpreter(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content)


def _converter(folder: str) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model(folder)


def quantiser(folder: str, digits: NDArray[np.uint8]) -> Any:
    """Return TensorFlow's converter of a SavedModel to int8, which learns the ranges of activations from digits."""
    import tensorflow as tf

    converter = _converter(folder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _inputs(digits)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


def _inputs(digits: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
    return ({INPUT: image[np.newaxis]} for image in as_input(digits))  # the converter expects single images


def _answer_tensors(content: bytes) -> list[str]:
    """Return the names of the tensors that have one number per class."""
    interpreter = _interpreter(content)
    shape = list(interpreter.get_output_details()[0]["shape"])
    return [each["name"] for each in interpreter.get_tensor_details() if list(each["shape"]) == shape]


_NEEDS = (KERAS, TENSORFLOW, LITERT)
FORMATS = (
    Format("litert", "model.tflite", "LiteRT", _NEEDS, write, attach, read_attached, open_reader),
    Format(
        "litert-int8", "model.int8.tflite", "LiteRT", _NEEDS,
        write_int8, attach, read_attached, open_reader, is_int8=True,
    ),
)  # fmt: skip
