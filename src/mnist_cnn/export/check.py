"""Whether an exported file does what the Keras model does: asked by its own runtime, on real digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.export.original import Original

# An exported model in its runtime: float32 [n, 28, 28, 1], grey levels 0 … 255 → float32 [n, k].
Reader = Callable[[NDArray[np.float32]], NDArray[np.float32]]

TOLERANCE = 1e-4  # between probabilities; float32 in another order of adding stays below 1e-5
BATCHES = (1, 7)  # one image, and a number that no converter would choose
_LARGEST_BATCH = 500
_SUM_TOLERANCE = 0.01  # of a row of probabilities; int8 leaves softmax in float


class CheckError(MnistCnnError):
    """An exported file that does not do what the Keras model does."""


@dataclass(frozen=True)
class Agreement:
    """An export beside its original, over all digits that it is checked on."""

    difference: float  # the largest between two probabilities
    accuracy: float | None  # the export's own, 0 … 1; None where the digits' classes are not the model's
    drop: float | None  # from the Keras model's accuracy, percentage points; negative where the export is better


def compare(reader: Reader, original: Original) -> Agreement:
    """Let the export read all digits."""
    images = original.digits.images
    starts = range(0, len(images), _LARGEST_BATCH)
    answers = np.concatenate([reader(as_input(images[start : start + _LARGEST_BATCH])) for start in starts])
    difference = float(np.abs(answers - original.probabilities).max())
    if not original.has_labels:
        return Agreement(difference, None, None)
    right, right_before = (
        int((probabilities.argmax(axis=1) == original.digits.labels).sum())
        for probabilities in (answers, original.probabilities)
    )
    return Agreement(difference, right / len(images), 100 * (right_before - right) / len(images))


def check_difference(difference: float, name: str) -> None:
    """Refuse a float export whose probabilities are not the Keras model's.

    Raises:
        CheckError: They differ by more than `TOLERANCE`, or are no numbers.
    """
    if not difference <= TOLERANCE:  # also where it is no number
        raise CheckError(
            f"{name}: probabilities differ from the Keras model's by up to {difference:.2g}, allowed are "
            f"{TOLERANCE:g}. Nothing was put in place; please report the network."
        )


def check_drop(drop: float, name: str, allowed: float) -> None:
    """Refuse an int8 export that reads noticeably worse.

    Args:
        drop: What it costs in accuracy, percentage points.
        name: Of the format, for messages.
        allowed: What it may cost.

    Raises:
        CheckError: It costs more.
    """
    if drop > allowed + 1e-9:  # so that 5 digits of 10,000 are 0.05
        raise CheckError(
            f"{name}: int8 costs {drop:.3g} points of accuracy, allowed are {allowed:g}. Nothing was put in place; "
            f"accept it with --allow-drop {drop:.3g}, or keep to a float format."
        )


def check_batches(reader: Reader, original: Original, name: str, *, exact: bool) -> None:
    """Ask the file, as it is about to be put in place, for one digit and for seven.

    Args:
        reader: The file in its runtime.
        original: Whose digits are read.
        name: Of the format, for messages.
        exact: Whether probabilities must be the Keras model's; else they need only be probabilities.

    Raises:
        CheckError: It gives another shape, no probabilities, or other ones.
    """
    for size in BATCHES:
        answers = reader(as_input(original.digits.images[:size]))
        expected = original.probabilities[:size]
        if answers.shape != expected.shape or answers.dtype != np.float32:
            raise CheckError(f"{name}: {size} digits give {answers.dtype} {answers.shape}, not {expected.shape}.")
        if not np.abs(answers.sum(axis=1) - 1).max() <= _SUM_TOLERANCE:
            raise CheckError(f"{name}: at batch {size} the probabilities of a digit do not add up to 1.")
        if exact:
            check_difference(float(np.abs(answers - expected).max()), f"{name} at batch {size}")


def as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give images, uint8 [n, 28, 28], as every exported model takes them: float32 [n, 28, 28, 1], 0 … 255."""
    return images[..., np.newaxis].astype(np.float32)
