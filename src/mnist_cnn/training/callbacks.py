"""Callbacks around `Model.fit`: record, keep the best, save the state, stop on NaN or Ctrl-C.

Early stopping, the plateau rule, averaged weights and TensorBoard are Keras' own. The order in the list matters: the
averaged weights are swapped in first, then batch normalisation's statistics are measured for them, and the state is
saved last. Keras' own `BackupAndRestore` and `TerminateOnNaN` restore neither the counters nor the best weights, and
check no weights.
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

_COUNTERS = ("wait", "best", "best_epoch", "cooldown_counter")  # attributes of Keras' patience callbacks
_INTERRUPTED = threading.Event()


class InterruptedTraining(Exception):  # noqa: N818 - an event on the way out of `fit`, not an error
    """Ctrl-C was pressed; raised between two batches, when the model is consistent."""


class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Reports every step to the listener, and leaves `fit` on Ctrl-C or if the loss is NaN or infinite."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss so far."""
        loss, accuracy = (float((logs or {})[key]) for key in ("loss", "accuracy"))
        if not math.isfinite(loss):
            raise DivergedError(f"the loss became {loss} in epoch {self._epoch + 1}")
        self._listener.on_step(self._epoch, batch + 1, loss, accuracy)
        leave_if_interrupted()


class Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Records each finished epoch and saves the state; on resuming, restores the patience callbacks' counters."""

    def __init__(
        self,
        run: RunFolder,
        state: TrainingState,
        monitor: str,
        patient: list[keras.callbacks.Callback],
        averaging: keras.callbacks.SwapEMAWeights | None,
        on_saved: Callable[[TrainingState], None],
    ) -> None:
        super().__init__()
        self._run = run
        self._state = state
        self._monitor = monitor
        self._patient = patient
        self._averaging = averaging
        self._on_saved = on_saved
        self._rate = math.nan
        self._began = self._cpu_began = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the counters; this runs after Keras' callbacks have reset theirs."""
        for callback in self._patient:
            for name, value in self._state.patience.get(type(callback).__name__, {}).items():
                setattr(callback, name, value)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clocks and note the epoch's first learning rate."""
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        self._rate = current_rate(self.model.optimizer)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch; if it is the best so far, keep its weights; save everything.

        Raises:
            DivergedError: The validation result or a weight is NaN or infinite.
        """
        self._record(epoch, logs or {})
        if self._averaging:
            self._averaging.on_epoch_begin(epoch)  # training continues from the weights that are not averaged
        self._state.is_complete = self.model.stop_training or epoch + 1 == self.params["epochs"]
        self._state.variables = capture_variables(self.model)
        self._state.patience = {type(callback).__name__: _counters(callback) for callback in self._patient}
        self._state.save(self._run.state)
        self._on_saved(self._state)
        leave_if_interrupted()  # during validation or saving

    def _record(self, epoch: int, values: dict[str, Any]) -> None:
        row: Row = {"epoch": epoch + 1}
        row |= {key: float(values[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy") if key in values}
        row |= {"learning_rate": self._rate, "seconds": time.perf_counter() - self._began}
        row |= {"cpu_seconds": time.process_time() - self._cpu_began}  # of all cores
        weights: Weights = self.model.get_weights()
        check_finite(row, weights)
        state = self._state
        state.history.append(row)
        state.last_weights = weights
        state.best_epoch = best_epoch(state.history, self._monitor)
        if state.best_epoch == state.epochs_done:
            state.best_weights = weights


def patience_callbacks(config: Config, has_validation: bool) -> list[keras.callbacks.Callback]:
    """Build Keras' early stopping and plateau rule if configured; without validation they watch the training result."""
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
    """Build Keras' TensorBoard callback.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError("tensorboard", "tensorboard")
    return keras.callbacks.TensorBoard(log_dir=str(folder))


@contextlib.contextmanager
def catch_interrupts() -> Iterator[None]:
    """Let the first Ctrl-C stop training between two batches, and a second one stop the process at once.

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
        _INTERRUPTED.clear()  # or it would stop the next training in another thread


def leave_if_interrupted() -> None:
    """Leave `fit` if Ctrl-C was pressed inside `catch_interrupts`.

    Raises:
        InterruptedTraining: It was.
    """
    if _INTERRUPTED.is_set():
        raise InterruptedTraining


def check_finite(row: Row, weights: Weights) -> None:
    """Check a finished epoch.

    Raises:
        DivergedError: One of its results or weights is NaN or infinite.
    """
    # A step's loss is computed before its update, so the last update of an epoch can ruin the weights unnoticed.
    for key, value in row.items():
        if not math.isfinite(value):
            raise DivergedError(f"{key} became {value} in epoch {row['epoch']}")
    if not all(np.isfinite(values).all() for values in weights):
        raise DivergedError(f"weights became NaN or infinite in epoch {row['epoch']}")


def _counters(callback: keras.callbacks.Callback) -> dict[str, float]:
    return {name: float(getattr(callback, name)) for name in _COUNTERS if getattr(callback, name, None) is not None}
