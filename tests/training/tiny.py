"""A small data set and a small network, so that a whole training takes a second or two."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from late import Late
from mnist_cnn.config import Config, override, parse_config
from mnist_cnn.datasets import Dataset, load_dataset
from mnist_cnn.runs import Row, RunFolder, create_run
from mnist_cnn.training.listener import Listener

if TYPE_CHECKING:
    from mnist_cnn.training.trainer import TrainingResult

TINY = parse_config(
    {
        "title": "A tiny one",
        "data": {"dataset": "digits"},
        "model": {"architecture": "conv3", "arguments": {"filters": [4, 8], "dense": 16, "dropout": 0.2}},
        "optimizer": {"learning_rate": 1e-2},
        "training": {"epochs": 3, "batch_size": 32, "keep": "best", "precision": "float32"},
    },
    "tiny",
)


def tiny_config(settings: dict[str, Any] | None = None) -> Config:
    """Return the tiny configuration with dotted settings replaced."""
    return override(TINY, settings or {})


@functools.cache
def digits(count: int = 300) -> Dataset:
    """Return the first of the bundled digits."""
    return load_dataset("digits").subset(np.arange(count))


class Recorder(Listener):
    """Records all events."""

    def __init__(self) -> None:
        self.starts: list[tuple[int, int, int]] = []
        self.steps: list[tuple[int, int]] = []
        self.rows: list[Row] = []
        self.best: list[bool] = []
        self.notices: list[str] = []

    def on_notice(self, text: str) -> None:
        self.notices.append(text)

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        self.starts.append((first_epoch, epochs, steps))

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        assert loss > 0
        assert 0 <= accuracy <= 1
        self.steps.append((epoch, step))

    def on_epoch(self, row: Row, is_best: bool) -> None:
        self.rows.append(dict(row))
        self.best.append(is_best)


class Trained(NamedTuple):
    """A tiny training: what went in, and what came out."""

    config: Config
    run: RunFolder
    result: TrainingResult
    heard: Recorder

    def column(self, key: str) -> list[float]:
        """Return one column of the history."""
        return [row[key] for row in self.run.read_json(self.run.history_json)]


def train_tiny(
    folder: Path, settings: dict[str, Any] | None = None, data: Dataset | None = None, **extras: Any
) -> Trained:
    """Train the tiny network in a new run folder."""
    config, run, heard = tiny_config(settings), create_run(folder, "tiny"), Recorder()
    train = Late("mnist_cnn.training.trainer").train
    return Trained(config, run, train(config, data or digits(), run, listener=heard, **extras), heard)
