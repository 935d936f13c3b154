from __future__ import annotations

import math

import pytest

from mnist_cnn.runs import Row, best_epoch


@pytest.mark.parametrize(("monitor", "best"), [("loss", 2), ("accuracy", 3)])
def test_the_best_epoch_is_the_first_of_equals(monitor: str, best: int) -> None:
    losses, accuracies = [3, 1, 2, 1], [0.1, 0.2, 0.9, 0.9]
    history: list[Row] = [
        {"epoch": 1 + index, "loss": -index, "val_loss": losses[index], "val_accuracy": accuracies[index]}
        for index in range(4)
    ]
    assert best_epoch(history, monitor) == best


def test_without_validation_the_last_epoch_is_the_best() -> None:
    assert best_epoch([{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 0.2}], "loss") == 2


def test_no_number_is_no_result() -> None:
    assert best_epoch([{"epoch": 1, "val_loss": 2.0}, {"epoch": 2, "val_loss": math.nan}], "loss") == 1
