"""Composed lines in portions, each from a seed of its own, so that any process composes the same ones."""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.composition.composer import ComposedLine, Composer
from mnist_cnn.composition.traced_digits import TracedDigits
from mnist_cnn.environment.processes import process_pool
from mnist_cnn.reading.numbers.line_network import STRIDE

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

WIDEST_LINE = 256  # pixels; wider ones are rare, and would make their batch slow
_HELD_OUT_SEED = 1_000_000  # trainings count their seeds from 0


@dataclass(frozen=True)
class PortionSource:
    """What fixes a sequence of portions."""

    traces: Path  #: from `TracedDigits.save`
    seed: int
    size: int  #: lines in a portion

    def compose(self, index: int) -> list[ComposedLine]:
        """Compose the portion with this number, 0 or more."""
        random = np.random.default_rng([self.seed, index])
        composer = _composer(self.traces)
        lines = (composer.compose(random) for _ in itertools.count())
        return list(itertools.islice(filter(is_trainable, lines), self.size))


def held_out_portion(traces: Path, index: int, size: int) -> list[ComposedLine]:
    """Compose lines that no training sees: of other hands and, if `traces` are held out, of other writers.

    Args:
        traces: Digits that are not used for training.
        index: 0 for validation during training; 1 and more for whatever follows.
        size: Number of lines.
    """
    return PortionSource(traces, _HELD_OUT_SEED, size).compose(index)


def held_out_pictures(traces: Path, index: int, size: int) -> list[tuple[NDArray[np.uint8], str]]:
    """Compose pictures that no training sees, with their texts; see `held_out_portion`.

    Returns:
        uint8 [h, w] each, and the digits; an empty text where there is no number.
    """
    composer, random = _composer(traces), np.random.default_rng([_HELD_OUT_SEED, index])
    pictures = (composer.compose_picture(random) for _ in range(size))
    return [(picture, line.text) for picture, line in pictures]


def is_trainable(line: ComposedLine) -> bool:
    """Return whether a line is narrow enough, and has a column for each digit and each blank between equal ones."""
    width = int(line.image.shape[1])
    equal = sum(first == second for first, second in itertools.pairwise(line.text))
    return width <= WIDEST_LINE and len(line.text) + equal <= width // STRIDE


@dataclass(eq=False)
class Portions(contextlib.AbstractContextManager["Portions"]):
    """Portions composed ahead by other processes; as a context, it ends them.

    Attributes:
        source: What to compose.
        workers: Number of processes; with 0 this process composes what is asked for.
    """

    source: PortionSource
    workers: int = 1
    _pool: ProcessPoolExecutor | None = field(default=None, init=False)
    _ahead: dict[int, Future[list[ComposedLine]]] = field(default_factory=dict, init=False)

    def get(self, index: int) -> list[ComposedLine]:
        """Return a portion, and have the next ones composed meanwhile."""
        if not self.workers:
            return self.source.compose(index)
        # The training itself comes first, since it waits only if the stock runs out.
        self._pool = self._pool or process_pool(self.workers, in_background=True)
        for wanted in range(index, index + 2 * self.workers + 1):
            if wanted not in self._ahead:
                self._ahead[wanted] = self._pool.submit(self.source.compose, wanted)
        return self._ahead.pop(index).result()

    def __exit__(self, *_error: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


@functools.cache
def _composer(traces: Path) -> Composer:
    digits = TracedDigits.load(traces)
    return Composer(digits.by_digit(), digits.pictures_by_digit())
