"""Pictures composed before training: digits in all kinds of scenes, and outliers, both prepared like image files.

Several processes compose them, so nothing here imports Keras.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.augmentation.garments import draw_garment
from mnist_cnn.augmentation.outliers import draw_outliers
from mnist_cnn.augmentation.stray_marks import add_stray_marks
from mnist_cnn.composition.single_digits import DigitComposer, compose_clutter
from mnist_cnn.datasets.dataset import DIGIT_NAMES
from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.environment.processes import process_pool, shared_value
from mnist_cnn.files import write_whole
from mnist_cnn.reading.ink import prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.datasets.dataset import Dataset

    Image = NDArray[np.uint8]  # [h, w]; prepared, [28, 28]
    Images = NDArray[np.uint8]  # [n, 28, 28]

_CHUNK = 250  # pictures of one task, with a seed of its own
_GARMENTS, _CLUTTER = 0.5, 0.2  # shares of the outliers; the others are those of `augmentation.outliers`
_NEGATIVE = 0.3  # share of outliers in dark ink


@dataclass(frozen=True, eq=False)
class ComposedPictures:
    """What a training run mixes into its batches."""

    images: NDArray[np.uint8]  #: [n, 28, 28] of digits, as `reading.ink` prepares them
    labels: NDArray[np.int64]  #: [n], 0 to 9
    outliers: NDArray[np.uint8]  #: [m, 28, 28] of what is not a digit, prepared in the same way; m may be 0

    def save(self, path: Path) -> None:
        """Write an `.npz` file, whole or not at all."""
        with write_whole(path) as partial:
            np.savez_compressed(partial, images=self.images, labels=self.labels, outliers=self.outliers)

    @classmethod
    def load(cls, path: Path) -> ComposedPictures:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["images"], file["labels"], file["outliers"])


def compose(
    training: Dataset, digits: int, outliers: int, seed: int, workers: int | None = None, *, marked: float = 0.0
) -> ComposedPictures:
    """Compose pictures in several processes; the result does not depend on their number.

    Args:
        training: Digits to trace.
        digits: Number of pictures of digits, equally many of each.
        outliers: Number of pictures of what is not a digit.
        seed: Of all draws.
        workers: Number of processes; 1 composes in this one, None takes all cores.
        marked: Share of the pictures of digits that are real ones with stray marks, prepared like image files.
    """
    source = _Source(training.images, training.labels, seed)
    kinds = (functools.partial(_digits, marked=marked), 0, digits), (_outliers, 1, outliers)
    tasks = [_Task(draw, word, start, total) for draw, word, total in kinds for start in range(0, total, _CHUNK)]
    workers = min(workers or usable_cores(), len(tasks))
    if workers == 1:
        chunks = list(map(source.compose, tasks))
    else:
        with process_pool(workers, shared=source) as pool:
            chunks = list(pool.map(_compose, tasks))
    pictures = np.concatenate(chunks)
    return ComposedPictures(pictures[:digits], np.arange(digits) % len(DIGIT_NAMES), pictures[digits:])


@dataclass(frozen=True)
class _Task:
    """A chunk of the digits or of the outliers."""

    draw: Callable[[DigitComposer, Images, int, np.random.Generator], Image | None]
    seed: int  #: second word of its seed
    start: int
    total: int

    @property
    def numbers(self) -> range:
        return range(self.start, min(self.start + _CHUNK, self.total))


@dataclass(frozen=True, eq=False)
class _Source:
    """What fixes all pictures."""

    images: Images
    labels: NDArray[np.int64]
    seed: int

    @functools.cached_property
    def composer(self) -> DigitComposer:
        return DigitComposer.of(self.images, self.labels)

    def compose(self, task: _Task) -> Images:
        random = np.random.default_rng([self.seed, task.seed, task.start])
        return np.stack([self._draw(task, number, random) for number in task.numbers])

    def _draw(self, task: _Task, number: int, random: np.random.Generator) -> Image:
        """Draw until there is a picture."""
        drawn = (task.draw(self.composer, self.images, number, random) for _ in itertools.count())
        return next(picture for picture in drawn if picture is not None)


def _digits(
    composer: DigitComposer, images: Images, number: int, random: np.random.Generator, *, marked: float
) -> Image | None:
    digit = number % len(DIGIT_NAMES)
    if not marked or random.random() >= marked:
        return composer.compose(digit, random)
    real = composer.real[digit]
    found = prepare(add_stray_marks(real[random.integers(len(real), size=1)], 1.0, random)[0])
    return found.image if found.is_single else None


def _outliers(composer: DigitComposer, images: Images, number: int, random: np.random.Generator) -> Image | None:
    kind = random.random()
    if kind < _GARMENTS:
        picture = draw_garment(random)
    elif kind < _GARMENTS + _CLUTTER:
        picture = compose_clutter(random)
    else:
        picture = draw_outliers(1, images, random)[0]
    found = prepare(255 - picture if random.random() < _NEGATIVE else picture)
    # Of a pair of digits, `ink` may find one.
    return found.image if found.has_ink and (found.is_single or kind < _GARMENTS) else None


def _compose(task: _Task) -> Images:
    source: _Source = shared_value()
    return source.compose(task)
