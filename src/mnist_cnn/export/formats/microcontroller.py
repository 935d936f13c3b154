"""LiteRT in int8 throughout, for microcontrollers: as a file, and as C source with an example sketch.

Image and probabilities are int8, too, so that no floating-point numbers are computed. The image has scale 1 and zero
point -128: a grey level minus 128. Probabilities have steps of 1/256, which is too coarse to calibrate them; the
format `litert-int8` keeps the last layer in float32 instead.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.export.formats import litert, saved_model
from mnist_cnn.export.formats.format import KERAS, LITERT, TENSORFLOW, Format, Reader, as_input
from mnist_cnn.export.metadata_files import attach, read_attached, read_json, write_json

if TYPE_CHECKING:
    from mnist_cnn.export.c_source import Quantisation
    from mnist_cnn.export.original import Original
    from mnist_cnn.reading.metadata import ModelMetadata

_FOLDER = "microcontroller"  # Arduino demands that a sketch and its folder have the same name
_SKETCH, _HEADER, _METADATA = f"{_FOLDER}.ino", "model.h", Path("metadata.json")
_LARGE = 10**6  # bytes; more flash than most microcontrollers have


def write(original: Original, path: Path) -> None:
    """Write the network as a LiteRT file for one image.

    Raises:
        ModelFileError: LiteRT for Microcontrollers lacks an operator that the network needs.
    """
    path.write_bytes(_convert(original))


def write_c(original: Original, folder: Path) -> None:
    """Write the network as a C header, with an example sketch.

    Raises:
        ModelFileError: LiteRT for Microcontrollers lacks an operator that the network needs.
    """
    from mnist_cnn.export.c_source import write_header, write_sketch

    content = _convert(original)
    names = original.metadata.class_names
    example = original.digits.images[0]
    answer = names[int(_open(content)(as_input(example[np.newaxis]))[0].argmax())]
    header = write_header(content, original.metadata, *_quantisations(content), example, answer)
    (folder / _HEADER).write_text(header, encoding="utf-8")
    (folder / _SKETCH).write_text(write_sketch(content), encoding="utf-8")


def stamp_c(folder: Path, metadata: ModelMetadata) -> None:
    """Write the metadata to a file beside the header."""
    write_json(folder / _METADATA, metadata)


def open_reader(path: Path) -> Reader:
    """Open the file in LiteRT, with its own kernels.

    They round nearly as those for microcontrollers do; XNNPACK's, which LiteRT would choose, differ more. The reference
    kernels differ least, but take minutes for 10,000 images.
    """
    return _open(path.read_bytes())


def open_c_reader(folder: Path) -> Reader:
    """Open the model in the header as `open_reader` does."""
    return _open(_read_c(folder))


def describe(path: Path) -> str:
    """Return how much flash and memory a LiteRT file needs on a microcontroller."""
    return _describe(path.read_bytes())


def describe_c(folder: Path) -> str:
    """Return how much flash and memory the model in the header needs on a microcontroller."""
    return _describe(_read_c(folder))


def _convert(original: Original) -> bytes:
    import tensorflow as tf

    from mnist_cnn.export.channelwise import normalise_by_convolution
    from mnist_cnn.export.compaction import compact
    from mnist_cnn.export.micro_runtime import operators
    from mnist_cnn.models.unsharing import unshare

    with tempfile.TemporaryDirectory() as folder:
        saved_model.write_model(normalise_by_convolution(unshare(original.model)), Path(folder), batch=1)
        converter = litert.quantiser(folder, _with_all_levels(original.representative))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        content = compact(converter.convert())
    operators(content)  # raises if one is missing
    return content


def _with_all_levels(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give one digit the darkest and the lightest level, so that each level has its own number in int8."""
    first = digits[0].copy()
    first.flat[first.argmin()], first.flat[first.argmax()] = 0, 255
    return np.concatenate([first[np.newaxis], digits[1:]])


def _open(content: bytes) -> Reader:
    interpreter = _interpreter(content)
    interpreter.allocate_tensors()
    source, target = (details[0]["index"] for details in _details(interpreter))
    stored, answer = _quantisations(content)

    def read_one(image: NDArray[np.int8]) -> NDArray[np.int8]:
        interpreter.set_tensor(source, image[np.newaxis])
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(target)[0])

    def read(images: NDArray[np.float32]) -> NDArray[np.float32]:
        levels = np.rint(images / stored.scale) + stored.zero_point
        answers = np.stack([read_one(image) for image in levels.clip(-128, 127).astype(np.int8)])
        shares = answers.astype(np.float32) - answer.zero_point
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))  # rounded to 1/256, they miss a sum of 1

    return read


def _interpreter(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=content, experimental_op_resolver_type=kernels)


def _details(interpreter: Any) -> tuple[Any, Any]:
    return interpreter.get_input_details(), interpreter.get_output_details()


def _quantisations(content: bytes) -> tuple[Quantisation, Quantisation]:
    """Return those of the input and of the output."""
    from mnist_cnn.export.c_source import Quantisation

    image, probabilities = (Quantisation(*each[0]["quantization"]) for each in _details(_interpreter(content)))
    return image, probabilities


def _read_c(folder: Path) -> bytes:
    from mnist_cnn.export.c_source import read_header

    return read_header((folder / _HEADER).read_text("utf-8"))


def _describe(content: bytes) -> str:
    from mnist_cnn.export.micro_runtime import arena_bytes

    needs = f"the model takes {len(content):,} bytes of flash and at most {arena_bytes(content):,} bytes of memory."
    if len(content) <= _LARGE:
        return needs
    return f"{needs} Few microcontrollers have so much; train a smaller network."


_NEEDS, _RUNTIME = (KERAS, TENSORFLOW, LITERT), "LiteRT for Microcontrollers"
FORMATS = (
    Format(
        "litert-micro", "model.micro.tflite", _RUNTIME, _NEEDS,
        write, attach, read_attached, open_reader, is_int8=True, describe=describe,
    ),
    Format(
        "c-array", _FOLDER, _RUNTIME, _NEEDS,
        write_c, stamp_c, partial(read_json, member=_METADATA), open_c_reader,
        is_folder=True, is_int8=True, describe=describe_c,
    ),
)  # fmt: skip
