"""What training tells whoever watches; the command line draws it, tests and notebooks may ignore it."""

from __future__ import annotations

from mnist_cnn.runs import Row


class Listener:
    """Hears how training goes; every method does nothing here."""

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Training begins with `first_epoch` (0-based) of `epochs`, each of `steps` batches."""

    def on_notice(self, text: str) -> None:
        """Something was decided that people should know of."""

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """`step` batches of `epoch` (0-based) are done, with their mean loss and accuracy so far."""

    def on_epoch(self, row: Row, is_best: bool) -> None:
        """An epoch is finished; `row` is its line of the history."""
