"""An ONNX file, exported by this project or not, as a function from digits in MNIST's form to class scores."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mnist_cnn.environment import shell
from mnist_cnn.errors import ModelFileError
from mnist_cnn.reading.conventions import IMAGE_SHAPES, IMAGE_SIZE, LINE_OUTPUTS, SUM_TOLERANCE
from mnist_cnn.reading.recognizer.ahead import map_ahead
from mnist_cnn.reading.recognizer.session import reason, shortened
from mnist_cnn.reading.scaling import DECLARED, UNIT, Scaling, ScalingChoice, bundled_digits, choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
_SCORES = ("tensor(float)", "tensor(double)", "tensor(float16)")
_ACCEPTED = (
    "Accepted: one input (n, 28, 28), (n, 28, 28, 1), (n, 1, 28, 28) or (n, 784) of float32, float64, float16, "
    "uint8, int32 or int64, and scores (n, k) with k of 2 or more"
)
_OUTPUT_NAMES = ("probabilities", "logits")  # in order of preference
_DIGITS = 10
_CHUNK = 64  # images per run; more do not fit into the processor's caches, fewer need more calls
_LARGEST_BATCH = 1024  # images; a file that requires more per run is not a network for single digits
_SMALLEST_SIGMOID = 1e-6  # closer to 0 or 1, float32 rounds to 0 or 1


@dataclass(frozen=True)
class Network:
    """A loaded network. It is immutable, so several threads may use it at the same time."""

    session: Any  # onnxruntime.InferenceSession with one thread
    wide: Any  # the same with all threads; may be the same object
    input_name: str
    output_name: str
    layout: tuple[int, ...]  # the shape of one image
    dtype: type[np.generic]
    scaling: Scaling  # of grey levels 0 … 255
    batch: int | None  # required number of images per run; None: any number
    classes: int = 0
    # What a row of scores is: probabilities of sum 1, logits, or an independent probability of each class.
    kind: Literal["probabilities", "logits", "sigmoids"] = "probabilities"

    def scores(self, images: NDArray[np.uint8], threads: int) -> NDArray[np.float32]:
        """Run the network.

        A few images run together, and the threads share each layer. Of many, each thread runs a part through all
        layers, so that threads need not wait for each other.

        Args:
            images: uint8 [n, 28, 28], any n, ink light on black 0.
            threads: 1 computes in the calling thread only.

        Returns:
            float32 [n, k]; see `kind`.
        """
        count, chunk = len(images), self.batch or _CHUNK
        if 0 < count <= chunk:
            return self._run(self.session if threads == 1 else self.wide, images)
        if count == 0:
            return np.empty((0, self.classes), np.float32)
        chunks = (images[start : start + chunk] for start in range(0, count, chunk))
        threads = min(threads, math.ceil(count / chunk))
        return np.concatenate(list(map_ahead(partial(self._run, self.session), chunks, threads)))

    def as_logits(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert sigmoids to logits; other scores do not change.

        The logits are the logarithms of the odds: given that exactly one class is right, a softmax of them is correct.
        """
        if self.kind != "sigmoids":
            return scores
        inside = np.clip(scores, _SMALLEST_SIGMOID, 1 - _SMALLEST_SIGMOID)
        logits: NDArray[np.float32] = np.log(inside / (1 - inside))
        return logits

    def _run(self, session: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        count = len(images)
        if self.batch is not None and count < self.batch:
            images = np.concatenate([images, np.zeros((self.batch - count, IMAGE_SIZE, IMAGE_SIZE), np.uint8)])
        feed = self.scaling.apply(images).astype(self.dtype).reshape(-1, *self.layout)
        scores: NDArray[np.float32] = session.run([self.output_name], {self.input_name: feed})[0]
        if self.batch is not None:
            scores = scores[:count]
        return scores if scores.dtype == np.float32 else scores.astype(np.float32)


def adopt_network(network: Network, scale: float | None) -> tuple[Network, ScalingChoice]:
    """Find out, on known digits, what a network without our metadata returns, and which range of grey levels it needs.

    Args:
        network: From `find_network`.
        scale: Factor for grey levels; None to find out, see `scaling`.
    """
    known = bundled_digits(network.classes)

    def ask(scaling: Scaling) -> NDArray[np.float32]:
        return replace(network, scaling=scaling).scores(known.images, threads=1)

    if scale:
        choice = ScalingChoice(Scaling(scale), "user")
    elif np.issubdtype(network.dtype, np.floating):
        choice = choose(ask, known)
    else:
        choice = DECLARED
    # Only in the chosen range: in a wrong one, a network can overflow, which says nothing about its output.
    return replace(network, scaling=choice.scaling, kind=_kind(ask(choice.scaling))), choice


def find_network(session: Any, origin: str) -> Network:
    """Find out by trial how a session needs its images, and what it returns for them.

    Files often declare less than they need, or declare a free batch size and then reshape to a fixed one.

    Args:
        session: From `start_session`.
        origin: The name of the file for messages.

    Returns:
        The network, which gets grey levels in 0 to 1.

    Raises:
        ModelFileError: Its inputs or outputs do not fit a network for digits.
    """
    if {each.name for each in session.get_outputs()} == set(LINE_OUTPUTS):
        command = shell.join(["mnist-cnn", "read", "--model", origin])
        raise ModelFileError(
            f"{origin} is a network for whole numbers, not for single digits. Use NumberReader, or: {command}"
        )
    if misfit := _misfit(session):
        raise ModelFileError(f"{origin} {misfit}.")
    first = ""
    for candidate in _candidates(session):
        try:
            return _tried(candidate)
        except Exception as error:  # ONNX Runtime's errors have no common class
            first = first or reason(error)
    raise ModelFileError(f"{origin} {_signature(session)}, but does not run on 28×28 digits ({first}). {_ACCEPTED}.")


def _misfit(session: Any) -> str:
    """Return what is wrong with the declared inputs and outputs; empty if nothing."""
    inputs = session.get_inputs()
    is_image = len(inputs) == 1 and inputs[0].type in _DTYPES and any(True for _ in _layouts(inputs[0].shape))
    if not is_image or not any(output.type in _SCORES for output in session.get_outputs()):
        return f"{_signature(session)}. {_ACCEPTED}. scikit-learn's converter returns scores with zipmap=False"
    batch = _fixed_batch(inputs[0])
    return f"takes {batch} images per run. Valid: at most {_LARGEST_BATCH}" if (batch or 0) > _LARGEST_BATCH else ""


def _fixed_batch(image: Any) -> int | None:
    batch = image.shape[0] if image.shape else None
    return batch if isinstance(batch, int) else None


def _signature(session: Any) -> str:
    taken, returned = (
        shortened(", ".join(f"{each.name} {tuple(each.shape or ())} {each.type}" for each in side))
        for side in (session.get_inputs(), session.get_outputs())
    )
    return f"takes {taken} and returns {returned}"


def _layouts(shape: list[Any] | None) -> Iterator[tuple[int, ...]]:
    """Yield the layouts that agree with a declared shape [batch, …], whose free dimensions are names or None."""
    for layout in IMAGE_SHAPES:
        if not shape:  # not even the number of dimensions is declared
            yield layout
        elif len(shape) == len(layout) + 1:
            pairs = zip(layout, shape[1:], strict=True)
            if all(size == wanted for wanted, size in pairs if isinstance(size, int)):
                yield layout


def _candidates(session: Any) -> Iterator[Network]:
    image = session.get_inputs()[0]
    dtype = _DTYPES[image.type]
    scaling = UNIT if np.issubdtype(dtype, np.floating) else Scaling()
    output_name = _score_output(session)
    fixed = _fixed_batch(image)
    batches = [fixed] if fixed else [None, 1]
    for layout, batch in itertools.product(_layouts(image.shape), batches):
        yield Network(session, session, image.name, output_name, layout, dtype, scaling, batch)


def _score_output(session: Any) -> str:
    """Choose the output with the scores: by its name, by its ten columns, or the last."""
    outputs: dict[str, list[Any]] = {
        output.name: output.shape or [None] for output in session.get_outputs() if output.type in _SCORES
    }
    of_digits = [name for name, shape in outputs.items() if shape[-1] == _DIGITS]
    return next(name for name in (*_OUTPUT_NAMES, *reversed(of_digits), list(outputs)[-1]) if name in outputs)


def _tried(network: Network) -> Network:
    """Run two images, so that a fixed batch size inside shows, and complete the network.

    Raises:
        ModelFileError: The output is not a table of finite scores.
        Exception: Of ONNX Runtime.
    """
    images = np.zeros((2, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    images[1] = np.arange(IMAGE_SIZE * IMAGE_SIZE).reshape(IMAGE_SIZE, IMAGE_SIZE) % 256
    scores = network.scores(images, threads=1)
    if scores.ndim != 2 or len(scores) != 2 or scores.shape[1] < 2 or not np.isfinite(scores).all():
        raise ModelFileError(f"two images gave {scores.shape}, or scores that are not finite")
    return replace(network, classes=scores.shape[1], kind=_kind(scores))


def _kind(scores: NDArray[np.float32]) -> Literal["probabilities", "logits", "sigmoids"]:
    if not ((scores >= 0) & (scores <= 1 + SUM_TOLERANCE)).all():
        return "logits"
    return "probabilities" if (abs(scores.sum(axis=1) - 1) < SUM_TOLERANCE).all() else "sigmoids"
