"""An ONNX file, this project's or a stranger's, as a function from digits in MNIST's form to class scores."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.errors import InputError, first_line
from mnist_cnn.ink.form import SIZE
from mnist_cnn.onnx_runtime import onnxruntime
from mnist_cnn.recognizer.ahead import map_ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LAYOUTS = ((SIZE, SIZE, 1), (1, SIZE, SIZE), (SIZE, SIZE), (SIZE * SIZE,))  # of one image, in order of preference
_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
_ACCEPTED = (
    "Accepted: one input (n, 28, 28), (n, 28, 28, 1), (n, 1, 28, 28) or (n, 784) of float32, float64, float16 or "
    "uint8, and scores (n, k) with k of 2 or more"
)
_OUTPUT_NAMES = ("probabilities", "logits")  # looked for in this order
_DIGITS = 10
_CHUNK = 64  # images in one run: larger ones fall out of the processor's caches, smaller ones cost more calls
_LARGEST_BATCH = 1024  # images; a file that demands more at once is no network for single digits
_ROUNDING = 0.01  # by which a row of float16 probabilities may miss the sum of 1


@dataclass(frozen=True)
class Network:
    """A loaded network. Nothing changes after loading, so that several threads may use it at once."""

    session: Any  # onnxruntime.InferenceSession, on one thread
    wide: Any  # the same on all threads; may be the same object
    input_name: str
    output_name: str
    layout: tuple[int, ...]  # the shape of one image
    dtype: type[np.generic]
    scale: float  # grey levels 0 … 255 are multiplied by this
    batch: int | None  # how many images every run must have; None: any number
    classes: int = 0
    gives_probabilities: bool = True  # otherwise scores before a softmax

    def scores(self, images: NDArray[np.uint8], threads: int) -> NDArray[np.float32]:
        """Run the network.

        Few images go through it together, and every layer is shared between the threads. Of many, each thread takes
        some through all layers, which saves them from waiting for each other.

        Args:
            images: uint8 [n, 28, 28], any n, ink light on black 0.
            threads: 1 computes in the caller's thread alone.

        Returns:
            float32 [n, k]: probabilities, or scores before a softmax.
        """
        count, chunk = len(images), self.batch or _CHUNK
        if 0 < count <= chunk:
            return self._run(self.session if threads == 1 else self.wide, images)
        if count == 0:
            return np.empty((0, self.classes), np.float32)
        chunks = (images[start : start + chunk] for start in range(0, count, chunk))
        threads = min(threads, math.ceil(count / chunk))
        return np.concatenate(list(map_ahead(partial(self._run, self.session), chunks, threads)))

    def _run(self, session: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        count = len(images)
        if self.batch is not None and count < self.batch:
            images = np.concatenate([images, np.zeros((self.batch - count, SIZE, SIZE), np.uint8)])
        grey = images if self.scale == 1 else images * np.float32(self.scale)
        feed = grey.astype(self.dtype).reshape(-1, *self.layout)
        scores: NDArray[np.float32] = session.run([self.output_name], {self.input_name: feed})[0]
        if self.batch is not None:
            scores = scores[:count]
        return scores if scores.dtype == np.float32 else scores.astype(np.float32)


def start_session(data: bytes, origin: str, threads: int = 1) -> Any:
    """Give an `onnxruntime.InferenceSession` of a file's bytes.

    Args:
        data: A whole ONNX file, from anywhere: it is parsed as data, cannot load libraries or read other files.
        origin: What to call it in an error message.
        threads: That share each layer. More than one wait busily for the next image, some milliseconds.

    Raises:
        InputError: It is no ONNX file, is damaged, or holds what this ONNX Runtime does not know.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # fatal: errors are raised, and need not be printed as well
    options.add_session_config_entry("session.load_model_format", "ONNX")  # not ORT's own, which is not verified
    # Without this, weights "kept in another file" are read from the working directory. No file is inside a device.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise InputError(
            f"{origin} cannot be loaded as an ONNX file ({_reason(error)}). Give one that ONNX Runtime reads."
        ) from None
    session.disable_fallback()  # which prints, and starts a second session
    return session


def metadata_of(session: Any, origin: str) -> Mapping[str, str]:
    """Give the text that lies beside the network in its file.

    Raises:
        InputError: It is no text.
    """
    try:
        found: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError:
        raise InputError(f"{origin} carries metadata that is no text. Export it again.") from None
    return found


def find_network(session: Any, origin: str, scale: float) -> Network:
    """Find out by trial how a session wants its images and what it gives for them.

    Files often say less than they demand, or declare a free batch size and then reshape to a fixed one.

    Args:
        session: From `start_session`.
        origin: What to call the file in an error message.
        scale: What a network for floats wants grey levels multiplied by.

    Raises:
        InputError: Its inputs or outputs are not those of a network for digits.
    """
    reason = _misfit(session)
    if reason:
        raise InputError(f"{origin} {reason}. {_ACCEPTED}.")
    for candidate in _candidates(session, scale):
        try:
            return _tried(candidate)
        except Exception as error:  # ONNX Runtime's errors have no common class
            reason = reason or _reason(error)
    raise InputError(f"{origin} {_signature(session)}, but does not run on 28×28 digits ({reason}). {_ACCEPTED}.")


def _misfit(session: Any) -> str:
    """Say what is wrong with the declared input, if anything."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        return f"has {len(inputs)} inputs ({', '.join(each.name for each in inputs)[:200]})"
    if inputs[0].type not in _DTYPES or not any(True for _ in _layouts(inputs[0].shape)):
        return _signature(session)
    batch = inputs[0].shape[0]
    return f"takes {batch} images at once" if isinstance(batch, int) and batch > _LARGEST_BATCH else ""


def _signature(session: Any) -> str:
    given, wanted = (
        ", ".join(f"{each.name} {tuple(each.shape or ())} {each.type}" for each in side)
        for side in (session.get_inputs(), session.get_outputs())
    )
    return f"takes {given[:200]} and gives {wanted[:200]}"


def _layouts(shape: list[Any] | None) -> Iterator[tuple[int, ...]]:
    """Give the layouts that agree with a declared shape [batch, …], whose free dimensions are names or None."""
    for layout in _LAYOUTS:
        if len(shape or ()) == len(layout) + 1:
            declared = zip(layout, (shape or ())[1:], strict=True)
            if all(given == size for size, given in declared if isinstance(given, int)):
                yield layout


def _reason(error: Exception) -> str:
    """Give ONNX Runtime's message without what it puts first: [ONNXRuntimeError] : 7 : INVALID_PROTOBUF."""
    return first_line(error).rpartition(" : ")[2]


def _candidates(session: Any, scale: float) -> Iterator[Network]:
    given = session.get_inputs()[0]
    dtype = _DTYPES[given.type]
    output_name = _score_output(session)
    fixed = given.shape[0]
    batches = [fixed] if isinstance(fixed, int) else [None, 1]
    for layout, batch in itertools.product(_layouts(given.shape), batches):
        yield Network(session, session, given.name, output_name, layout, dtype, scale, batch)


def _score_output(session: Any) -> str:
    """Choose the output that holds the scores: by its name, by its ten columns, or the last."""
    outputs: dict[str, list[Any]] = {output.name: output.shape or [None] for output in session.get_outputs()}
    of_digits = [name for name, shape in outputs.items() if shape[-1] == _DIGITS]
    return next(name for name in (*_OUTPUT_NAMES, *reversed(of_digits), list(outputs)[-1]) if name in outputs)


def _tried(network: Network) -> Network:
    """Run two images, so that a batch size fixed somewhere inside shows, and complete what is known of the network.

    Raises:
        InputError: What comes out is no table of finite scores.
        Exception: Any of ONNX Runtime's.
    """
    images = np.zeros((2, SIZE, SIZE), np.uint8)
    images[1] = np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 256
    scores = network.scores(images, threads=1)
    if scores.ndim != 2 or len(scores) != 2 or scores.shape[1] < 2 or not np.isfinite(scores).all():
        raise InputError(f"two images gave {scores.shape}, or scores that are not finite")
    sums = scores.sum(axis=1)
    probabilities = bool((scores >= 0).all() and (abs(sums - 1) < _ROUNDING).all())
    return replace(network, classes=scores.shape[1], gives_probabilities=probabilities)
