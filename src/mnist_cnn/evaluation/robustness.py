"""How well a network reads corrupted digits: as they are, and prepared like a picture from a user."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.environment.processes import process_pool
from mnist_cnn.evaluation.corruptions import CORRUPTIONS, Corruption
from mnist_cnn.reading.recognizer.arrangement import arrange

Images = NDArray[np.uint8]

_SEED = 0
_BLOCK = 10_000  # images that are corrupted at once, which takes up to half a GB
_CHUNK = 100  # images that a process prepares at once
_FEW = 1000  # images of the data set; with fewer, processes would take longer to start than to work


@dataclass(frozen=True, eq=False)
class CorruptionScore:
    """What one corruption does to a network."""

    name: str  #: in words, such as "shot noise"
    accuracy: float  #: share of the corrupted images that are classified correctly as they are, 0 to 1
    prepared_accuracy: float  #: the same after they were brought to MNIST's form as any picture is
    example: Images  #: uint8 [2, 28, 28], one corrupted image, and what becomes of it in the preparation


@dataclass(frozen=True, eq=False)
class Robustness:
    """What all corruptions do to a network."""

    count: int  #: images of each corruption
    scores: tuple[CorruptionScore, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, ready for JSON."""
        direct = [score.accuracy for score in self.scores]
        prepared = [score.prepared_accuracy for score in self.scores]
        each = {
            score.name: {"accuracy": score.accuracy, "prepared_accuracy": score.prepared_accuracy}
            for score in self.scores
        }
        return {
            "n": self.count,
            "mean": float(np.mean(direct)),
            "worst": min(direct),
            "prepared_mean": float(np.mean(prepared)),
            "prepared_worst": min(prepared),
            "each": each,
        }


def measure_corruptions(
    classify: Callable[[Images], NDArray[np.int64]], dataset: Dataset, workers: int | None = None
) -> Iterator[CorruptionScore]:
    """Corrupt every image of a data set in each way, and let a network classify the results.

    Args:
        classify: Returns the class, [n], of images in MNIST's form, uint8 [n, 28, 28].
        dataset: Digits in MNIST's form.
        workers: Number of processes that prepare images; None for one for each core.

    Yields:
        One score for each of `CORRUPTIONS`, in their order.
    """
    workers = workers or usable_cores()
    if workers == 1 or len(dataset) < _FEW:
        yield from _measure(classify, dataset, _prepare)
        return
    with process_pool(workers) as pool:
        yield from _measure(classify, dataset, functools.partial(_prepare_in_pool, pool))


def _measure(
    classify: Callable[[Images], NDArray[np.int64]], dataset: Dataset, prepare: Callable[[Images], Images]
) -> Iterator[CorruptionScore]:
    shown = int(np.flatnonzero(dataset.labels == _middle_class(dataset.labels))[0])
    for name, corrupt in CORRUPTIONS.items():
        corrupted = _corrupt(corrupt, dataset.images)
        prepared = prepare(corrupted)
        direct, indirect = (float((classify(images) == dataset.labels).mean()) for images in (corrupted, prepared))
        example = np.stack([corrupted[shown], prepared[shown]])
        yield CorruptionScore(name.replace("_", " "), direct, indirect, example)


def _corrupt(corruption: Corruption, images: Images) -> Images:
    generator = np.random.default_rng(_SEED)
    blocks = [images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK)]
    return np.concatenate([corruption(block, generator) for block in blocks])


def _middle_class(labels: NDArray[np.int64]) -> int:
    """Return a class that occurs: 5 of the ten digits, which has curves, corners and a free stroke."""
    present: Sequence[int] = np.unique(labels).tolist()
    return present[len(present) // 2]


def _prepare(images: Images) -> Images:
    return arrange(images, threads=1)


def _prepare_in_pool(pool: Executor, images: Images) -> Images:
    chunks = [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
    return np.concatenate(list(pool.map(_prepare, chunks)))
