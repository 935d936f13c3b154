"""Training of the network that reads lines, from traced digits to a model, read top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.errors import DivergedError, RunFolderError
from mnist_cnn.files import write_json
from mnist_cnn.models.backend import keras
from mnist_cnn.models.fully_convolutional import build_line_network
from mnist_cnn.models.persistence import save_model
from mnist_cnn.runs import Row, RunFolder
from mnist_cnn.training.callbacks import InterruptedTraining, catch_interrupts, check_finite, leave_if_interrupted
from mnist_cnn.training.checkpoint import TrainingState, Weights, capture_variables, restore_variables
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.numbers.line_batches import LineBatches
from mnist_cnn.training.numbers.line_losses import line_losses
from mnist_cnn.training.numbers.line_plan import LinePlan
from mnist_cnn.training.numbers.line_validation import share_read
from mnist_cnn.training.numbers.portions import Portions, PortionSource, held_out_portion
from mnist_cnn.training.optimizers import Trapezoid, current_rate
from mnist_cnn.training.precision import automatic_precision

if TYPE_CHECKING:
    from mnist_cnn.composition.composer import ComposedLine

PLAN = "plan.json"  # in the run folder: the settings of its training
_SAVE_EVERY = 180  # seconds between two states on disk
_AVERAGED = 12  # epochs over which weights are averaged


def train_lines(
    plan: LinePlan,
    traces: Path,
    held_out: Path,
    run: RunFolder,
    *,
    start: Weights | None = None,
    workers: int = 1,
    precision: str | None = None,
    listener: Listener | None = None,
) -> keras.Model | None:
    """Train the network and save it in `run`. A folder with a state is resumed after its last saved epoch.

    Args:
        plan: All settings.
        traces: Digits to train on, from `TracedDigits.save`.
        held_out: Digits to validate on, none of them in `traces`.
        run: A folder for this training alone.
        start: Weights to start from, as `Model.get_weights` returns them; None for random ones.
        workers: Processes that compose beside the training; 0 for none.
        precision: Keras' dtype policy; None for the fastest one of this machine.
        listener: Receives every epoch. `val_accuracy` in its row is the share of validation lines that are read whole.

    Returns:
        The network with averaged weights, float32; None if Ctrl-C was pressed: then call again to resume.

    Raises:
        RunFolderError: The folder contains another plan's state.
        DivergedError: The loss became NaN or infinite.
        WriteError: The run folder cannot be written.
    """
    listener = listener or Listener()
    averaged = build_line_network(plan.widths, plan.dropout, seed=plan.seed)
    model = build_line_network(plan.widths, plan.dropout, seed=plan.seed, precision=precision or automatic_precision())
    if start:
        model.set_weights(start)
    compile_lines(model, plan)

    _record_plan(run, plan)
    state = TrainingState.load(run.state)
    if state.epochs_done:
        restore_variables(model, state.variables)
    validate = _validator(averaged, held_out_portion(held_out, 0, plan.validated))
    keeper = LineKeeper(run, state, plan, validate, listener)
    listener.on_start(state.epochs_done, plan.epochs, plan.steps_per_epoch)
    with Portions(PortionSource(traces, plan.seed, plan.portion), workers) as portions:
        ending = _run_epochs(model, LineBatches(portions, plan), plan, state.epochs_done, keeper)
    if isinstance(ending, DivergedError):
        raise ending
    state.save(run.state)
    if ending:
        return None
    averaged.set_weights(state.last_weights)
    save_model(averaged, run.model)
    run.state.unlink(missing_ok=True)
    return averaged


def compile_lines(model: keras.Model, plan: LinePlan) -> None:
    """Compile a network for training."""
    steps = plan.epochs * plan.steps_per_epoch
    model.compile(
        optimizer=keras.optimizers.AdamW(
            Trapezoid(plan.learning_rate, plan.warmup, round(plan.decay * steps), steps),
            weight_decay=plan.weight_decay,
            clipnorm=1.0,
        ),
        loss=line_losses(),
        loss_weights={"scores": 1.0, "boxes": plan.box_weight},
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",  # widths change: XLA would recompile
    )
    model.optimizer.build(model.trainable_variables)


class LineKeeper(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Records each epoch, averages its weights, validates now and then, and saves the state every few minutes."""

    def __init__(
        self,
        run: RunFolder,
        state: TrainingState,
        plan: LinePlan,
        validate: Callable[[Weights], float],
        listener: Listener,
    ) -> None:
        super().__init__()
        self._run, self._state, self._plan = run, state, plan
        self._validate, self._listener = validate, listener
        self._began = self._saved = time.perf_counter()
        self._rate = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock and note the epoch's first learning rate."""
        self._began = time.perf_counter()
        self._rate = current_rate(self.model.optimizer)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Leave `fit` on Ctrl-C; the state is that of the last finished epoch."""
        leave_if_interrupted()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch.

        Raises:
            DivergedError: The loss or a weight is NaN or infinite.
        """
        row: Row = {"epoch": epoch + 1, **{key: float(value) for key, value in (logs or {}).items()}}
        row |= {"learning_rate": self._rate, "seconds": time.perf_counter() - self._began}
        weights = self.model.get_weights()
        check_finite(row, weights)
        state, plan = self._state, self._plan
        state.last_weights = _averaged(state.last_weights, weights, epoch)
        if (epoch + 1) % plan.validate_every == 0 or epoch + 1 == plan.epochs:
            row["val_accuracy"] = self._validate(state.last_weights)
        state.history.append(row)
        state.variables = capture_variables(self.model)
        if time.perf_counter() - self._saved > _SAVE_EVERY:
            state.save(self._run.state)
            self._saved = time.perf_counter()
        write_json(self._run.history_json, list(state.history))
        self._listener.on_epoch(row, is_best=False)
        leave_if_interrupted()


def _averaged(average: Weights, weights: Weights, epoch: int) -> Weights:
    """Average the weights of about the last 12 epochs exponentially, of fewer at the beginning."""
    if not average:
        return weights
    share = np.float32(max(1 / _AVERAGED, 4 / (epoch + 4)))
    return [old + share * (new - old) for old, new in zip(average, weights, strict=True)]


def _run_epochs(
    model: keras.Model, batches: LineBatches, plan: LinePlan, first: int, keeper: LineKeeper
) -> InterruptedTraining | DivergedError | None:
    """Train the epochs that are left; return what stopped training early, or None."""
    if first >= plan.epochs:
        return None
    try:
        with catch_interrupts():
            model.fit(
                batches.feed(first),
                initial_epoch=first,
                epochs=plan.epochs,
                steps_per_epoch=plan.steps_per_epoch,
                shuffle=False,
                callbacks=[keeper],
                verbose=0,
            )
    except (InterruptedTraining, DivergedError) as ending:
        return ending
    return None


def _validator(averaged: keras.Model, lines: list[ComposedLine]) -> Callable[[Weights], float]:
    def validate(weights: Weights) -> float:
        averaged.set_weights(weights)
        return share_read(averaged, lines)

    return validate


def _record_plan(run: RunFolder, plan: LinePlan) -> None:
    file = run.root / PLAN
    if run.state.exists() and file.exists() and run.read_json(file) != plan.as_dict():
        raise RunFolderError(
            f"{run.root} was started with other settings ({file.name} tells which). Repeat those, or give another "
            "folder."
        )
    run.root.mkdir(parents=True, exist_ok=True)
    write_json(file, plan.as_dict())
