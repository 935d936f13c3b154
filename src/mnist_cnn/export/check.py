"""Does an exported file compute what the Keras model computes? Its own runtime answers, on real digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.export.formats.format import Reader, as_input
from mnist_cnn.reading.conventions import SUM_TOLERANCE

if TYPE_CHECKING:
    from mnist_cnn.export.original import Original

TOLERANCE = 1e-4  # between probabilities; summing float32 in another order stays below 1e-5
BATCHES = (1, 7)  # a single image, and a number that no converter would choose
_LARGEST_BATCH = 500


class CheckError(MnistCnnError):
    """An exported file does not compute what the Keras model computes."""


@dataclass(frozen=True)
class Agreement:
    """An export compared with its original on all test digits."""

    difference: float  #: the largest between two probabilities
    accuracy: float | None  #: of the export, 0 to 1; None if the digits' classes are not the model's
    drop: float | None  #: from the Keras model's accuracy, percentage points; negative if the export is better


def compare(reader: Reader, original: Original) -> Agreement:
    """Compare the export's probabilities with the original's on all test digits."""
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
    """Refuse a float export whose probabilities differ from the Keras model's.

    Raises:
        CheckError: They differ by more than `TOLERANCE`, or are NaN.
    """
    if not difference <= TOLERANCE:  # also if it is NaN
        raise CheckError(
            f"{name}: probabilities differ from the Keras model's by up to {difference:.2g}; the limit is "
            f"{TOLERANCE:g}. Nothing was written. Please report this network."
        )


def check_drop(drop: float, name: str, allowed: float) -> None:
    """Refuse an int8 export that is noticeably less accurate.

    Args:
        drop: Loss of accuracy, percentage points.
        name: Of the format, for messages.
        allowed: Limit of the loss, percentage points.

    Raises:
        CheckError: The loss is above the limit.
    """
    if drop > allowed + 1e-9:  # so that 5 digits of 10,000 are 0.05
        accepted = math.ceil(drop * 100 - 1e-6) / 100  # rounded up, so that this limit is enough
        raise CheckError(
            f"{name}: int8 costs {drop:.3g} points of accuracy; the limit is {allowed:g}. Nothing was written. "
            f"Accept the loss with --allow-drop {accepted:g}, or choose a float format."
        )


def check_batches(reader: Reader, original: Original, name: str, *, exact: bool) -> None:
    """Read one digit, and seven at once, with the finished file.

    Args:
        reader: The file in its runtime.
        original: Provides the digits.
        name: Of the format, for messages.
        exact: Whether the probabilities must be the Keras model's; otherwise they need only be probabilities.

    Raises:
        CheckError: The result has another shape, or is not what `exact` demands.
    """
    for size in BATCHES:
        answers = reader(as_input(original.digits.images[:size]))
        expected = original.probabilities[:size]
        if answers.shape != expected.shape or answers.dtype != np.float32:
            raise CheckError(f"{name}: {size} digits return {answers.dtype} {answers.shape}, not {expected.shape}.")
        if not np.abs(answers.sum(axis=1) - 1).max() <= SUM_TOLERANCE:
            raise CheckError(f"{name}: at batch size {size}, the probabilities of a digit do not add up to 1.")
        if exact:
            check_difference(float(np.abs(answers - expected).max()), f"{name} at batch size {size}")
