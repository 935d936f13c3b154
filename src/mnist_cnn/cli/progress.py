"""Training progress: a live bar on a terminal, and one line per epoch."""

from __future__ import annotations

from typing import Any

from rich import progress as parts

from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.training.listener import Listener


class TerminalListener(Listener):
    """Draws one bar for all epochs and prints one line per finished epoch."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._epochs = self._steps = 0
        self._validation = ""  # result of the latest epoch
        self._task = parts.TaskID(0)
        columns = (parts.BarColumn(), parts.TaskProgressColumn(), parts.TextColumn("{task.description}"))
        times = (parts.TimeElapsedColumn(), parts.TextColumn("left"), parts.TimeRemainingColumn())
        self._bar = parts.Progress(
            *columns,
            *times,
            console=terminal.console,
            transient=True,
            disable=not terminal.console.is_terminal,
        )

    def __enter__(self) -> TerminalListener:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def on_notice(self, text: str) -> None:
        """Print a warning."""
        self._terminal.warn(text)

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Start the bar at the first epoch to train."""
        self._epochs, self._steps = epochs, steps
        self._task = self._bar.add_task("", total=epochs * steps, completed=first_epoch * steps)
        self._bar.start()
        if first_epoch:
            self._terminal.say(f"Resuming after epoch {first_epoch} of {epochs}.")

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Advance the bar."""
        text = f"epoch {epoch + 1}/{self._epochs}  loss {loss:.4f} accuracy {accuracy:.2%}{self._validation}"
        self._bar.update(self._task, completed=epoch * self._steps + step, description=text)

    def on_epoch(self, row: dict[str, Any], is_best: bool) -> None:
        """Print the line of a finished epoch."""
        validation = ""
        if "val_loss" in row:
            validation = f"  validation loss {row['val_loss']:.4f} accuracy {row['val_accuracy']:.2%}"
            self._validation = f"  validation {row['val_accuracy']:.2%}"
        self._terminal.say(
            f"epoch {row['epoch']:>{len(str(self._epochs))}}/{self._epochs}  "
            f"loss {row['loss']:.4f} accuracy {row['accuracy']:.2%}{validation}  "
            f"{row['seconds']:.1f} s{'  best' if is_best else ''}"
        )
