"""Callbacks around `Model.fit`: record, keep the best, save the state, stop on NaN or Ctrl-C.

Early stopping, the plateau rule, averaged weights and TensorBoard are Keras' own. They stand in one list, in this
order: averaged weights are swapped in and batch normalisation's statistics measured for them before anyone looks at
the epoch's end, and the state is saved last.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mnist_cnn.config import Config
from mnist_cnn.errors import DivergedError, MissingExtraError
from mnist_cnn.models.backend import keras
from mnist_cnn.runs import Row, RunFolder, best_epoch
from mnist_cnn.training.checkpoint import TrainingState, Weights, capture_variables
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.optimizers import current_rate

_COUNTERS = ("wait", "best", "best_epoch", "cooldown_counter")  # what Keras' patience callbacks remember
_INTERRUPTED = threading.Event()


class InterruptedTraining(Exception):  # noqa: N818 - an event on the way out of `fit`, not an error
    """Ctrl-C was pressed; raised between two batches, where the model is whole."""


class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Tells the listener of every step, and leaves `fit` on Ctrl-C or a loss that is no number."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check what the batch left."""
        loss, accuracy = (float((logs or {})[key]) for key in ("loss", "accuracy"))
        if not math.isfinite(loss):
            raise DivergedError(f"the loss became {loss} in epoch {self._epoch + 1}")
        self._listener.on_step(self._epoch, batch + 1, loss, accuracy)
        if _INTERRUPTED.is_set():
            raise InterruptedTraining


class History(keras.callbacks.Callback):  # type: ignore[misc]
    """Adds one row per finished epoch to the state, and notes whether it is the best so far."""

    def __init__(self, state: TrainingState, monitor: str) -> None:
        super().__init__()
        self._state = state
        self._monitor = monitor
        self._rate = math.nan
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock and note the rate that the epoch begins with."""
        self._began = time.perf_counter()
        self._rate = current_rate(self.model.optimizer)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Append the row; a better monitored value makes this epoch's weights the best.

        Raises:
            DivergedError: The validation result or a weight is infinite or no number.
        """
        values = logs or {}
        row: Row = {"epoch": epoch + 1}
        for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
            if key in values:
                row[key] = float(values[key])
        row |= {"learning_rate": self._rate, "seconds": time.perf_counter() - self._began}
        weights: Weights = self.model.get_weights()
        _check_finite(row, weights)
        state = self._state
        state.history.append(row)
        state.last_weights = weights
        state.best_epoch = best_epoch(state.history, self._monitor)
        if state.best_epoch == state.epochs_done:
            state.best_weights = weights


class Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves the state after each epoch and hands saved counters back to the callbacks when training goes on."""

    def __init__(
        self,
        run: RunFolder,
        state: TrainingState,
        patient: list[keras.callbacks.Callback],
        averaging: keras.callbacks.SwapEMAWeights | None,
        on_saved: Callable[[TrainingState], None],
    ) -> None:
        super().__init__()
        self._run = run
        self._state = state
        self._patient = patient
        self._averaging = averaging
        self._on_saved = on_saved

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Give counters back; this runs after Keras' callbacks have reset theirs."""
        for callback in self._patient:
            for name, value in self._state.patience.get(type(callback).__name__, {}).items():
                setattr(callback, name, value)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save everything."""
        if self._averaging:
            # The averaged weights have been looked at; what training goes on from is the raw ones.
            self._averaging.on_epoch_begin(epoch)
        self._state.is_complete = self.model.stop_training or epoch + 1 == self.params["epochs"]
        self._state.variables = capture_variables(self.model)
        self._state.patience = {type(callback).__name__: _counters(callback) for callback in self._patient}
        self._state.save(self._run.state)
        self._on_saved(self._state)
        if _INTERRUPTED.is_set():  # while the epoch was validated or saved
            raise InterruptedTraining


def patience_callbacks(config: Config, has_validation: bool) -> list[keras.callbacks.Callback]:
    """Give Keras' early stopping and plateau rule, where the configuration asks for them.

    Without validation they watch the training result: there is nothing else.
    """
    training = config.training
    monitor = ("val_" if has_validation else "") + training.monitor
    mode = "max" if monitor.endswith("accuracy") else "min"
    callbacks: list[keras.callbacks.Callback] = []
    if training.early_stopping:
        callbacks.append(keras.callbacks.EarlyStopping(monitor, patience=training.early_stopping, mode=mode))
    if training.reduce_on_plateau:
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor, factor=training.reduce_factor, patience=training.reduce_on_plateau, mode=mode
            )
        )
    return callbacks


def tensorboard_callback(folder: Path) -> keras.callbacks.Callback:
    """Give Keras' TensorBoard callback.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError("tensorboard", "tensorboard")
    return keras.callbacks.TensorBoard(log_dir=str(folder))


@contextlib.contextmanager
def catch_interrupts() -> Iterator[None]:
    """Let the first Ctrl-C end training between two batches, and a second one end the process at once.

    Outside the main thread, where Python delivers no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _INTERRUPTED.clear()
    previous = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        _INTERRUPTED.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        _INTERRUPTED.clear()  # or it would end the next training in another thread


def _check_finite(row: Row, weights: Weights) -> None:
    # A step's loss is measured before it changes the weights, so an epoch's last step can ruin them unnoticed.
    for key, value in row.items():
        if not math.isfinite(value):
            raise DivergedError(f"{key} became {value} in epoch {row['epoch']}")
    if not all(np.isfinite(values).all() for values in weights):
        raise DivergedError(f"weights became infinite or no number in epoch {row['epoch']}")


def _counters(callback: keras.callbacks.Callback) -> dict[str, float]:
    return {name: float(getattr(callback, name)) for name in _COUNTERS if getattr(callback, name, None) is not None}
