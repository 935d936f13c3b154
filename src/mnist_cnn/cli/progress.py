"""Training as seen on the terminal: a live bar where there is one, plain lines where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.training.listener import Listener


class TerminalListener(Listener):
    """Draws one bar over all epochs, and writes one line per finished epoch."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._epochs = self._steps = 0
        self._task = TaskID(0)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %  loss {task.fields[loss]}"),
            TextColumn("accuracy {task.fields[accuracy]}{task.fields[validation]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=terminal.console,
            transient=True,
            disable=not terminal.console.is_terminal,
        )

    def __enter__(self) -> TerminalListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def on_notice(self, text: str) -> None:
        """Print it."""
        self._terminal.warn(text)

    def on_start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Begin the bar, or go on with it."""
        self._epochs, self._steps = epochs, steps
        fields: dict[str, Any] = {
            "epoch": f"{first_epoch + 1}/{epochs}",
            "loss": "–",
            "accuracy": "–",
            "validation": "",
        }
        self._task = self._bar.add_task("training", total=epochs * steps, completed=first_epoch * steps, **fields)
        self._bar.start()
        if first_epoch:
            self._terminal.say(f"Going on after epoch {first_epoch} of {epochs}.")

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            completed=epoch * self._steps + step,
            epoch=f"{epoch + 1}/{self._epochs}",
            loss=f"{loss:.4f}",
            accuracy=f"{accuracy:.2%}",
        )

    def on_epoch(self, row: dict[str, Any], is_best: bool) -> None:
        """Write the epoch's line."""
        validation = ""
        if "val_loss" in row:
            validation = f"  validation loss {row['val_loss']:.4f} accuracy {row['val_accuracy']:.2%}"
            self._bar.update(self._task, validation=f"  validation {row['val_accuracy']:.2%}")
        self._terminal.say(
            f"epoch {row['epoch']:>{len(str(self._epochs))}}/{self._epochs}  "
            f"loss {row['loss']:.4f} accuracy {row['accuracy']:.2%}{validation}  "
            f"{row['seconds']:.1f} s{'  best' if is_best else ''}"
        )
