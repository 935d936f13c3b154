"""The events that training reports."""

from __future__ import annotations

from mnist_cnn.runs import Row


class Listener:
    """Receives the events; here every method does nothing."""

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Training starts with `first_epoch` (0-based) of `epochs`, each with `steps` batches."""

    def on_notice(self, text: str) -> None:
        """Training made a decision that users should know about."""

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """`step` batches of `epoch` (0-based) are finished, with this mean loss and accuracy so far."""

    def on_epoch(self, row: Row, is_best: bool) -> None:
        """An epoch is finished; `row` is its row of the history."""
