"""Real digits as strokes, so that any pen can write them again: traced once, and kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.composition.pen import Pen
from mnist_cnn.composition.tracing import trace
from mnist_cnn.environment.processes import process_pool
from mnist_cnn.files import write_whole
from mnist_cnn.reading.ink.form import fit
from mnist_cnn.reading.recognizer import Recognizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.hands import Stroke

_FINE, _MARGIN = 80, 12  # pixels: longer side of a redrawn digit before it is fitted into MNIST's form, and its border
_PEN = Pen(0.12)  # as wide as in the middle of MNIST
_CHUNK = 500  # digits per task of a worker process


@dataclass(frozen=True, eq=False)
class TracedDigits:
    """The strokes of real digits."""

    strokes: list[list[Stroke]]  #: of each digit, 1 high; see `trace`
    labels: NDArray[np.int64]  #: [n], 0 to 9
    pictures: NDArray[np.uint8]  #: [n, 28, 28], as they were before tracing

    def __len__(self) -> int:
        return len(self.strokes)

    def by_digit(self) -> list[list[list[Stroke]]]:
        """Return the strokes of all 0s, of all 1s, and so on, as `Composer` needs them."""
        return [[self.strokes[index] for index in np.flatnonzero(self.labels == digit)] for digit in range(10)]

    def pictures_by_digit(self) -> list[NDArray[np.uint8]]:
        """Return the pictures of all 0s, of all 1s, and so on, as `Composer` needs them."""
        return [self.pictures[self.labels == digit] for digit in range(10)]

    def save(self, path: Path) -> None:
        """Write an `.npz` file, whole or not at all."""
        lines = [line for strokes in self.strokes for line in strokes]
        arrays: dict[str, Any] = {
            "points": np.concatenate(lines),  # float32 [p, 2], of all strokes
            "lengths": np.array([len(line) for line in lines]),  # points of each stroke
            "counts": np.array([len(strokes) for strokes in self.strokes]),  # strokes of each digit
            "labels": self.labels,
            "pictures": self.pictures,
        }
        with write_whole(path) as partial:
            np.savez_compressed(partial, **arrays)

    @classmethod
    def load(cls, path: Path) -> TracedDigits:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            points, lengths, counts = file["points"], file["lengths"], file["counts"]
            labels, pictures = file["labels"], file["pictures"]
        lines = np.split(points, np.cumsum(lengths)[:-1])
        ends = np.cumsum(counts).tolist()
        strokes = [lines[end - count : end] for end, count in zip(ends, counts.tolist(), strict=True)]
        return cls(strokes, labels, pictures)


def trace_digits(images: NDArray[np.uint8], labels: NDArray[np.int64], workers: int = 1) -> TracedDigits:
    """Trace digits, and leave out those that are not read as what they are when they are drawn again.

    These are mostly bold ones, whose loops were filled with ink.

    Args:
        images: uint8 [n, 28, 28] in MNIST's form.
        labels: [n].
        workers: Number of processes that trace.
    """
    traced = _traced(images, workers)
    redrawn = np.stack([redraw(strokes) for strokes in traced])
    kept = np.flatnonzero(Recognizer.load().predict(redrawn) == labels)
    return TracedDigits([traced[index] for index in kept], labels[kept], images[kept])


def redraw(strokes: Sequence[Stroke]) -> NDArray[np.uint8]:
    """Draw strokes in MNIST's form: uint8 [28, 28], empty without strokes."""
    points = np.concatenate([*strokes, np.zeros((0, 2), np.float32)])
    if not len(points):
        return np.zeros((28, 28), np.uint8)
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    scale = np.float32(_FINE / max(float(span.max()), 1e-3))
    width, height = (int(side) + 2 * _MARGIN for side in np.ceil(span * scale))
    coverage = _PEN.draw([(stroke - low) * scale + np.float32(_MARGIN) for stroke in strokes], (height, width), _FINE)
    return np.asarray(fit((coverage * 255).astype(np.uint8)))


def _traced(images: NDArray[np.uint8], workers: int) -> list[list[Stroke]]:
    if workers == 1:
        return [trace(image) for image in images]
    with process_pool(workers) as pool:
        return list(pool.map(trace, images, chunksize=_CHUNK))
