"""Training, from a configuration to a run folder, read top to bottom."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.config import Config
from mnist_cnn.datasets.addition import blend, load_addition
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.datasets.split import divide
from mnist_cnn.environment.machine import peak_memory_gib
from mnist_cnn.errors import DivergedError
from mnist_cnn.models.architectures import build_model
from mnist_cnn.models.backend import keras
from mnist_cnn.models.persistence import open_model, save_legacy_h5, save_model, save_weights
from mnist_cnn.runs import RunFolder, best_epoch
from mnist_cnn.training.batch_statistics import BatchStatistics, measure_statistics
from mnist_cnn.training.batches import Batches
from mnist_cnn.training.callbacks import (
    History,
    InterruptedTraining,
    Keeper,
    Watch,
    catch_interrupts,
    patience_callbacks,
    tensorboard_callback,
)
from mnist_cnn.training.checkpoint import TrainingState, Weights, restore_variables
from mnist_cnn.training.fused_batchnorm import fuse_batchnorm
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.loss import build_loss, build_metrics, encode_labels
from mnist_cnn.training.optimizers import build_optimizer
from mnist_cnn.training.precision import training_precision
from mnist_cnn.training.records import catch_up, epoch_writer, record_end, record_start
from mnist_cnn.training.transfer import adapt_model, open_start
from mnist_cnn.training.unseen import check_held_out

_STEPS_PER_EXECUTION = 16  # at most: batches between two looks at progress and Ctrl-C
_VALIDATION_BATCH = 1000


@dataclass(frozen=True)
class TrainingResult:
    """What came out; the model itself lies in the run folder."""

    model: keras.Model  # float32, not compiled
    epochs: int  # finished
    best_epoch: int  # 1-based; whose weights `model` has, unless the configuration keeps the last
    seconds: float  # in training and validation, over all sessions of the run
    interrupted: bool  # by Ctrl-C; the run can be resumed
    peak_memory_gib: float  # of this process


def train(
    config: Config,
    dataset: Dataset,
    run: RunFolder,
    *,
    added: Dataset | None = None,
    listener: Listener | None = None,
    tensorboard: bool = False,
    legacy_h5: bool = False,
) -> TrainingResult:
    """Train one network and leave it in `run`.

    Where `run` holds a state, training goes on from its last finished epoch; where `run` is finished, its result is
    given as it is.

    Args:
        config: Everything that decides the result.
        dataset: The training split; validation is held out of it here.
        run: An empty run folder, or an unfinished one of the same configuration and data.
        added: The images at `config.data.add`, where the caller has loaded them already.
        listener: Hears of every step and epoch.
        tensorboard: Write event files into the run folder.
        legacy_h5: Also leave the model in Keras' old HDF5 format.

    Raises:
        InputError: The configuration and the data do not fit, or the run was made with other data.
        DivergedError: The loss became no number; the model of the best epoch before that is saved.
        WriteError: The run folder cannot be written.
    """
    listener = listener or Listener()
    if run.finished:
        return read_result(config, run)
    if config.training.deterministic:
        fix_operation_order()

    check_held_out(config, dataset)
    added = added or find_addition(config, dataset)
    batches, held_out = prepare_data(config, dataset, added)
    precision = training_precision(config)
    model = new_model(config, dataset, precision, listener.on_notice)
    float32_model = in_float32(model, config, dataset)  # what is saved: neither bfloat16 nor compiled
    compile_model(model, config, batches.steps)
    events = [tensorboard_callback(run.tensorboard)] if tensorboard else []

    # Only now, when what was asked for is known to be possible, is anything written.
    record_start(config, dataset, added, run, precision)
    state = TrainingState.load(run.state)
    if state.epochs_done:
        restore_variables(model, state.variables)
        catch_up(run, float32_model, state)

    averaging = keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if config.optimizer.ema else None
    statistics = BatchStatistics(batches.images, config.training.seed, has_validation=held_out is not None)
    patient = patience_callbacks(config, has_validation=held_out is not None)
    callbacks = [
        *([averaging] if averaging else []),
        statistics,
        Watch(listener),
        History(state, config.training.monitor),
        *events,
        *patient,
        Keeper(run, state, patient, averaging, epoch_writer(run, float32_model, listener)),
    ]
    listener.on_start(state.epochs_done, config.training.epochs, batches.steps)
    epochs = range(state.epochs_done, state.epochs_done if state.is_complete else config.training.epochs)
    ending = run_epochs(model, batches, held_out, epochs, callbacks) if epochs else None
    if isinstance(ending, DivergedError):
        raise explain_divergence(ending, state, run)

    if ending:
        state.save(run.state)  # before the model is: a model without a state is a finished run
    float32_model.set_weights(final_weights(config, state, model, statistics.images))
    save_model(float32_model, run.model)
    save_weights(run.model, run.weights)
    if legacy_h5:
        save_legacy_h5(float32_model, run.legacy_h5)
    record_end(run, state, interrupted=ending is not None)
    return TrainingResult(
        model=float32_model,
        epochs=state.epochs_done,
        best_epoch=state.best_epoch,
        seconds=sum(row["seconds"] for row in state.history),
        interrupted=ending is not None,
        peak_memory_gib=peak_memory_gib(),
    )


def find_addition(config: Config, dataset: Dataset) -> Dataset | None:
    """Load what is to be learnt beside the data set; None where nothing is."""
    return load_addition(Path(config.data.add), dataset.class_names) if config.data.add else None


def prepare_data(config: Config, dataset: Dataset, added: Dataset | None) -> tuple[Batches, Any]:
    """Give what is trained on, and what training is judged by.

    Args:
        config: Which part is held out, in what form the labels are learnt, how images are distorted.
        dataset: The training split.
        added: Images to learn beside it, of which none is held out; None for no such.

    Returns:
        The training batches, and the validation images uint8 [n, 28, 28, 1] with their targets; None without any.

    Raises:
        InputError: The configuration and the data do not fit.
    """
    data = config.data
    training, validation = divide(dataset, per_class=data.per_class, validation=data.validation, seed=data.split_seed)
    if added:
        training = blend(training, added, config.data.add_share)
    targets = functools.partial(encode_labels, classes=len(dataset.class_names), form=config.training.loss)
    batches = Batches(
        training.images,
        targets(training.labels),
        config.training.batch_size,
        config.augmentation,
        config.training.seed,
        config.training.strangers,
    )
    return batches, validation and (validation.images[..., np.newaxis], targets(validation.labels))


def compile_model(model: keras.Model, config: Config, steps: int) -> None:
    """Make a network ready to be trained, with an optimizer whose schedule spans `steps` batches times all epochs."""
    model.compile(
        optimizer=build_optimizer(config.optimizer, steps * config.training.epochs),
        loss=build_loss(config),
        metrics=build_metrics(config),
        steps_per_execution=steps_per_execution(steps),
        jit_compile="auto",
    )
    model.optimizer.build(model.trainable_variables)
    fuse_batchnorm(model)


def run_epochs(
    model: keras.Model,
    batches: Batches,
    validation_data: Any,  # images [n, 28, 28, 1] and targets, or None
    epochs: range,
    callbacks: list[keras.callbacks.Callback],
) -> InterruptedTraining | DivergedError | None:
    """Train through `epochs` (0-based), and give what ended training before its time."""
    try:
        with catch_interrupts():
            model.fit(
                batches.feed(epochs.start),
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                steps_per_epoch=batches.steps,
                validation_data=validation_data,
                validation_batch_size=_VALIDATION_BATCH,
                shuffle=False,  # the stream is shuffled already
                callbacks=callbacks,
                verbose=0,
            )
    except (InterruptedTraining, DivergedError) as ending:
        return ending
    return None


def read_result(config: Config, run: RunFolder) -> TrainingResult:
    """Give again what a finished run came to, for a process that died between training and report."""
    history = run.read_json(run.history_json)
    return TrainingResult(
        model=open_model(run.model),
        epochs=len(history),
        best_epoch=best_epoch(history, config.training.monitor),
        seconds=sum(row["seconds"] for row in history),
        interrupted=False,
        peak_memory_gib=peak_memory_gib(),
    )


def new_model(
    config: Config, dataset: Dataset, precision: str, note: Callable[[str], None] = lambda _: None
) -> keras.Model:
    """Build the configured network for a training split, or adapt the trained one that it starts from.

    `note` is told what had to be decided about another project's network.
    """
    classes = len(dataset.class_names)
    if config.model.init_from:
        keras.utils.set_random_seed(config.training.seed)  # also for the dropout layers that are about to be read
        source = open_start(config.model, dataset, note)
        return adapt_model(source, classes, config.model, config.training.seed)
    return build_model(
        config.model.architecture,
        config.model.arguments,
        classes,
        seed=config.training.seed,
        precision=precision,
    )


def in_float32(model: keras.Model, config: Config, dataset: Dataset) -> keras.Model:
    """Give the same network in float32, with weights of its own."""
    if not config.model.init_from:
        return new_model(config, dataset, precision="float32")
    float32_model = keras.models.clone_model(model)  # float32 as it is: so are all model files
    float32_model.set_weights(model.get_weights())
    return float32_model


def final_weights(
    config: Config,
    state: TrainingState,
    model: keras.Model,
    sample: NDArray[np.uint8],  # [n, 28, 28, 1]
) -> Weights:
    """Give the weights that become the model: the best epoch's or the last one's.

    Where no epoch was finished they are what training had reached.
    """
    if not state.epochs_done:
        measure_statistics(model, sample)
        weights: Weights = model.get_weights()
        return weights
    return state.best_weights if config.training.keep == "best" else state.last_weights


def fix_operation_order() -> None:
    """Make operations bit-equal from run to run on the same machine (TensorFlow; the other backends are on CPUs)."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def steps_per_execution(steps: int) -> int:
    """Give how many batches the backend runs in one go: a divisor of an epoch's, so that none crosses its end."""
    if keras.backend.backend() == "torch":
        return 1  # all that Keras allows there
    return next(size for size in range(min(steps, _STEPS_PER_EXECUTION), 0, -1) if steps % size == 0)


def explain_divergence(error: DivergedError, state: TrainingState, run: RunFolder) -> DivergedError:
    """Say what is left of a training that ended in a loss that is no number."""
    kept = f"the best finished epoch ({state.best_epoch}) is kept in {run.best_checkpoint}"
    return DivergedError(
        f"{error}; {kept if state.epochs_done else 'no epoch was finished'}. "
        "Lower the learning rate (--learning-rate), or train in float32 (--set training.precision=float32)."
    )
