from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.errors import RunFolderError
from mnist_cnn.models.backend import keras
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.numbers.line_training import train_lines
from training.numbers.composed import TINY_PLAN, plan, traces

if TYPE_CHECKING:
    from mnist_cnn.runs import Row
    from mnist_cnn.training.numbers.line_plan import LinePlan


class Rows(Listener):
    """Records the epochs, and presses Ctrl-C after one of them."""

    def __init__(self, interrupt_after: int = 0) -> None:
        self.rows: list[Row] = []
        self._interrupt_after = interrupt_after

    def on_epoch(self, row: Row, is_best: bool) -> None:
        self.rows.append(row)
        if len(self.rows) == self._interrupt_after:
            os.kill(os.getpid(), signal.SIGINT)


def run(root: Path, settings: LinePlan = TINY_PLAN, listener: Listener | None = None) -> keras.Model | None:
    return train_lines(settings, traces(), traces(), RunFolder(root), workers=0, precision="float32", listener=listener)


def test_a_training_lowers_the_loss_and_saves_the_network(tmp_path: Path) -> None:
    rows = Rows()
    model = run(tmp_path, plan(steps=40), rows)
    losses = [row["loss"] for row in rows.rows]
    assert len(losses) == 20
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:2])
    assert [row["epoch"] for row in rows.rows if "val_accuracy" in row] == list(range(2, 21, 2))
    assert rows.rows[0]["learning_rate"] == pytest.approx(2.5e-3)
    assert rows.rows[-1]["learning_rate"] == pytest.approx(1e-3)
    folder = RunFolder(tmp_path)
    assert folder.finished
    saved = keras.models.load_model(folder.model)
    assert model is not None
    for first, second in zip(saved.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_resumed_training_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    first, second = Rows(interrupt_after=3), Rows()
    assert run(tmp_path / "parts", listener=first) is None
    assert RunFolder(tmp_path / "parts").state.exists()
    resumed = run(tmp_path / "parts", listener=second)
    assert [row["epoch"] for row in first.rows + second.rows] == [1, 2, 3, 4, 5, 6]
    assert whole is not None
    assert resumed is not None
    for expected, found in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_folder_is_not_resumed_with_other_settings(tmp_path: Path) -> None:
    run(tmp_path, listener=Rows(interrupt_after=1))
    with pytest.raises(RunFolderError, match="other settings"):
        run(tmp_path, plan(learning_rate=1e-3))


def test_training_starts_from_given_weights(tmp_path: Path) -> None:
    first = run(tmp_path / "first")
    assert first is not None
    settings = plan(steps=2, learning_rate=0.0)
    second = train_lines(
        settings, traces(), traces(), RunFolder(tmp_path / "second"), start=first.get_weights(), workers=0
    )
    assert second is not None
    np.testing.assert_array_equal(second.trainable_weights[0], first.trainable_weights[0])
