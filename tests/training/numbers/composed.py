"""A small training on composed lines: few digits, a narrow network."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np

from mnist_cnn.composition.composer import ComposedLine, Composer
from mnist_cnn.composition.traced_digits import TracedDigits, trace_digits
from mnist_cnn.datasets import load_dataset
from mnist_cnn.training.numbers.line_plan import LinePlan

TINY_PLAN = LinePlan(
    steps=12,
    batch_size=8,
    learning_rate=5e-3,
    warmup=2,
    decay=0.25,
    portion=8,
    replay=2,
    stock=3,
    opening=2,
    validated=16,
    validate_every=2,
    widths=(4, 8, 8, 8, 16),
)  # 2 steps an epoch, 6 epochs


def plan(**changes: object) -> LinePlan:
    """Return the tiny plan with some settings replaced."""
    return dataclasses.replace(TINY_PLAN, **changes)  # type: ignore[arg-type]


@functools.cache
def traced() -> TracedDigits:
    """Trace some of the bundled digits."""
    digits = load_dataset("digits").subset(np.arange(200))
    return trace_digits(digits.images, digits.labels)


@functools.cache
def traces() -> Path:
    """Return the file of the traced digits."""
    path = Path(tempfile.mkdtemp()) / "traces.npz"
    traced().save(path)
    return path


def compose(count: int, seed: int = 0) -> list[ComposedLine]:
    """Compose some lines."""
    random = np.random.default_rng(seed)
    digits = traced()
    composer = Composer(digits.by_digit(), digits.pictures_by_digit())
    return [composer.compose(random) for _ in range(count)]
