"""The endless stream of shuffled, distorted training batches, from memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.augmentation.distortion import augment
from mnist_cnn.augmentation.outliers import draw_outliers
from mnist_cnn.config import AugmentationConfig
from mnist_cnn.models.backend import keras

_AHEAD = 4096  # images distorted at once, while earlier batches train
_PREFETCH = 8  # batches kept ready

Batch = tuple[NDArray[np.uint8], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Composed:
    """Composed pictures, and how many of them an epoch contains."""

    images: NDArray[np.uint8]  # [m, 28, 28]
    targets: NDArray[Any]  # [m] or [m, classes], as those of the other images
    outliers: NDArray[np.uint8]  # [k, 28, 28], of which half of an epoch's outliers are drawn; k may be 0
    share: float  # of an epoch's images that are replaced with `images`


class AnswersBesideLabels(Protocol):
    """Adds something to the targets that depends on the distorted images."""

    def add_to(self, targets: NDArray[np.float32], images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return targets [b, 2, k] for one-hot targets [b, k] and images [b, 28, 28, 1]."""


@dataclass(frozen=True, eq=False)
class Batches:
    """Training images in the order and form that the network sees.

    The order and the distortions of an epoch depend only on the seed and the epoch's number, so a run that resumes with
    epoch 7 sees the same images as an uninterrupted run.
    """

    images: NDArray[np.uint8]  # [n, 28, 28]
    targets: NDArray[Any]  # [n] labels or [n, classes] one-hot
    batch_size: int
    augmentation: AugmentationConfig
    seed: int
    outliers: float = 0.0  # share of the images replaced with outliers; requires one-hot targets
    composed: Composed | None = None
    teacher: AnswersBesideLabels | None = None  # its answers make the targets [n, 2, classes]; requires one-hot targets

    @property
    def steps(self) -> int:
        """Batches per epoch; the last one may be smaller."""
        return -(-len(self.images) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch (0-based): images uint8 [b, 28, 28, 1] and their targets."""
        for images, targets in self._portions(number):
            for first in range(0, len(images), self.batch_size):
                rows = slice(first, first + self.batch_size)
                yield images[rows], targets[rows]

    def _portions(self, number: int) -> Iterator[Batch]:
        """Yield the images of one epoch and their targets, as many batches at once as are distorted at once."""
        random = np.random.default_rng([self.seed, number])
        order = random.permutation(len(self.images))
        portion = max(1, _AHEAD // self.batch_size) * self.batch_size
        for start in range(0, len(order), portion):
            chosen = order[start : start + portion]
            images, targets = self.images[chosen], self.targets[chosen]  # copies
            if self.composed:
                replaced = np.flatnonzero(random.random(len(chosen)) < self.composed.share)
                drawn = random.integers(len(self.composed.images), size=len(replaced))
                images[replaced], targets[replaced] = self.composed.images[drawn], self.composed.targets[drawn]
            if self.outliers:
                replaced = np.flatnonzero(random.random(len(chosen)) < self.outliers)
                images[replaced] = self._draw_outliers(len(replaced), random)
                targets[replaced] = 1 / targets.shape[1]  # every class is equally wrong
            images = augment(images, self.augmentation, random)[..., np.newaxis]
            if self.teacher:
                targets = self.teacher.add_to(targets, images)
            yield images, targets

    def _draw_outliers(self, count: int, random: np.random.Generator) -> NDArray[np.uint8]:
        if self.composed is None or not len(self.composed.outliers):
            return draw_outliers(count, self.images, random)
        prepared = self.composed.outliers[random.integers(len(self.composed.outliers), size=count // 2)]
        return np.concatenate([prepared, draw_outliers(count - len(prepared), self.images, random)])

    @property
    def undistorted(self) -> NDArray[np.uint8]:
        """The images of digits, [n, 28, 28], with about the share of composed ones that an epoch has."""
        if self.composed is None:
            return self.images
        count = round(len(self.images) * self.composed.share / (1 - self.composed.share))
        return np.concatenate([self.images, self.composed.images[:count]])

    def stream(self, first_epoch: int) -> Iterator[Batch]:
        """Yield one epoch after another, endlessly."""
        for number in itertools.count(first_epoch):
            yield from self.epoch(number)

    def feed(self, first_epoch: int) -> Any:
        """Return the input of `Model.fit` on this backend: a prefetching `tf.data.Dataset`, or a plain generator.

        TensorFlow cuts the batches itself: one call of Python for each of them would take as long as a small network.
        """
        if keras.backend.backend() != "tensorflow":
            return self.stream(first_epoch)
        import tensorflow as tf

        batch = self.batch_size
        size = batch if len(self.images) % batch == 0 else None
        answers = (2,) if self.teacher else ()
        image, target = (*self.images.shape[1:], 1), (*answers, *self.targets.shape[1:])

        def generate() -> Iterator[Batch]:
            for number in itertools.count(first_epoch):
                yield from self._portions(number)

        def cut(images: Any, targets: Any) -> Any:
            def rows(first: Any) -> Any:
                return (
                    tf.ensure_shape(images[first : first + batch], (size, *image)),
                    tf.ensure_shape(targets[first : first + batch], (size, *target)),
                )

            return tf.data.Dataset.range(0, tf.shape(images, tf.int64)[0], batch).map(rows)

        signature = tf.TensorSpec((None, *image), tf.uint8), tf.TensorSpec((None, *target), self.targets.dtype)
        portions = tf.data.Dataset.from_generator(generate, output_signature=signature)
        return portions.prefetch(1).flat_map(cut).prefetch(_PREFETCH)
