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
from mnist_cnn.errors import DivergedError, SettingError
from mnist_cnn.models.architectures import build_model
from mnist_cnn.models.backend import keras
from mnist_cnn.models.folding import as_saved
from mnist_cnn.models.persistence import open_model, save_legacy_h5, save_model, save_weights
from mnist_cnn.runs import Row, RunFolder, best_epoch
from mnist_cnn.training.batch_statistics import BatchStatistics, measure_statistics
from mnist_cnn.training.batches import Batches
from mnist_cnn.training.callbacks import (
    InterruptedTraining,
    Keeper,
    Watch,
    catch_interrupts,
    patience_callbacks,
    tensorboard_callback,
)
from mnist_cnn.training.checkpoint import TrainingState, Weights, restore_variables
from mnist_cnn.training.composed_batches import check_composed, mix_in_composed
from mnist_cnn.training.continuation import check_settings
from mnist_cnn.training.distillation import ask_teacher, open_teacher
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
    """The outcome; the model is also in the run folder."""

    model: keras.Model  #: float32, not compiled
    epochs: int  #: finished
    best_epoch: int  #: 1-based; `model` has its weights, unless the configuration keeps the last
    seconds: float  #: of training and validation, over all sessions of the run
    cpu_seconds: float  #: the processor time of all cores in these seconds
    interrupted: bool  #: by Ctrl-C; the run can be resumed
    peak_memory_gib: float  #: of this process


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
    """Train one network and save it in `run`.

    If `run` contains a state, training resumes after its last finished epoch. A finished run returns its result.

    Args:
        config: All settings.
        dataset: The training split; a part is held out for validation.
        run: An empty run folder, or an unfinished one with the same configuration and data.
        added: The images of `config.data.add`, if they are loaded already.
        listener: Receives every step and epoch.
        tensorboard: Write event files to the run folder.
        legacy_h5: Also save the model in Keras' old HDF5 format, as a resumed run does if it did before.

    Raises:
        InputError: The configuration does not fit the data, or the run was started with other data or settings.
        DivergedError: The loss became NaN or infinite; the model of the best epoch so far is saved.
        WriteError: The run folder cannot be written.
    """
    listener = listener or Listener()
    if config.model.average:
        raise SettingError(
            f"these are the settings of an ensemble of {len(config.model.average)} runs, which is averaged and not "
            "trained. Make or continue one with: mnist-cnn ensemble"
        )
    check_settings(config, run)
    if run.finished:  # by a process that died before it reported
        history = run.read_json(run.history_json)
        best = best_epoch(history, config.training.monitor)
        return _result(open_model(run.model), history, best, interrupted=False)
    legacy_h5 = legacy_h5 or run.legacy_h5.exists()  # otherwise a resumed run would keep that of the unfinished model
    if config.training.deterministic:
        fix_operation_order()

    check_held_out(config, dataset)
    added = added or find_addition(config, dataset)
    batches, held_out = prepare_data(config, dataset, added)
    precision = training_precision(config)
    model = new_model(config, dataset, precision, listener.on_notice)
    float32_model = _in_float32(model, config, dataset)  # what is saved: neither bfloat16 nor compiled
    as_saved(float32_model, config.model.fold)  # refused now rather than after training
    compile_model(model, config, batches.steps)
    teacher = open_teacher(config, dataset, precision, listener.on_notice)
    events = [tensorboard_callback(run.tensorboard)] if tensorboard else []

    # Everything that can be refused has been checked; now files are written.
    record_start(config, dataset, added, run, precision, listener.on_notice)
    batches = mix_in_composed(batches, config, dataset, run.composed, listener.on_notice)
    batches, held_out = ask_teacher(batches, held_out, teacher)
    state = TrainingState.load(run.state)
    if state.epochs_done:
        restore_variables(model, state.variables)
        catch_up(run, float32_model, state)

    averaging = keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if config.optimizer.ema else None
    statistics = BatchStatistics(batches.undistorted, config.training.seed, has_validation=held_out is not None)
    patient = patience_callbacks(config, has_validation=held_out is not None)
    callbacks = [
        *([averaging] if averaging else []),
        statistics,
        Watch(listener),
        *events,
        *patient,
        Keeper(run, state, config.training.monitor, patient, averaging, epoch_writer(run, float32_model, listener)),
    ]
    listener.on_start(state.epochs_done, config.training.epochs, batches.steps)
    epochs = range(state.epochs_done, state.epochs_done if state.is_complete else config.training.epochs)
    ending = run_epochs(model, batches, held_out, epochs, callbacks) if epochs else None
    if isinstance(ending, DivergedError):
        raise _explain_divergence(ending, state, run)

    if ending:
        state.save(run.state)  # before the model: a model without a state means that the run is finished
    float32_model.set_weights(_final_weights(config, state, model, statistics.images))
    final_model = as_saved(float32_model, config.model.fold)
    save_model(final_model, run.model)
    save_weights(run.model, run.weights)
    if legacy_h5:
        save_legacy_h5(final_model, run.legacy_h5)
    record_end(run, state, interrupted=ending is not None)
    return _result(final_model, state.history, state.best_epoch, interrupted=ending is not None)


def find_addition(config: Config, dataset: Dataset) -> Dataset | None:
    """Load the images of `data.add`; None without any."""
    return load_addition(Path(config.data.add), dataset.class_names) if config.data.add else None


def prepare_data(config: Config, dataset: Dataset, added: Dataset | None) -> tuple[Batches, Any]:
    """Divide the data into training batches and validation images.

    Args:
        config: Which part to hold out, the form of the labels, and the distortions.
        dataset: The training split.
        added: Additional training images, none of them held out; or None.

    Returns:
        The training batches; the validation images uint8 [n, 28, 28, 1] with their targets, or None.

    Raises:
        InputError: The configuration does not fit the data.
    """
    check_composed(config, dataset)
    data = config.data
    training, validation = divide(dataset, per_class=data.per_class, validation=data.validation, seed=data.split_seed)
    if added:
        training = blend(training, added, config.data.add_share)
    targets = functools.partial(encode_labels, classes=len(dataset.class_names), form=config.training.loss)
    batches = Batches(
        training.images, targets(training.labels), config.training.batch_size, config.augmentation,
        config.training.seed, config.training.outliers,
    )  # fmt: skip
    return batches, validation and (validation.images[..., np.newaxis], targets(validation.labels))


def compile_model(model: keras.Model, config: Config, steps: int) -> None:
    """Compile a network for training with `steps` batches per epoch, over which the optimizer's schedule extends."""
    model.compile(
        optimizer=build_optimizer(config.optimizer, steps * config.training.epochs),
        loss=build_loss(config),
        metrics=build_metrics(config),
        steps_per_execution=steps_per_execution(steps),
        jit_compile="auto",
    )
    model.optimizer.build(model.trainable_variables)
    _build_metrics(model, encode_labels(np.zeros(1, np.int64), model.output_shape[-1], config.training.loss))
    fuse_batchnorm(model)


def _build_metrics(model: keras.Model, targets: NDArray[Any]) -> None:
    """Create the metrics' variables before the first step, which TensorFlow would trace twice if it created them."""
    model.compute_metrics(None, targets, np.ones((1, model.output_shape[-1]), np.float32))
    model.reset_metrics()


def run_epochs(
    model: keras.Model,
    batches: Batches,
    validation_data: Any,  # images [n, 28, 28, 1] and targets, or None
    epochs: range,
    callbacks: list[keras.callbacks.Callback],
) -> InterruptedTraining | DivergedError | None:
    """Train for `epochs` (0-based); return what stopped training early, or None."""
    try:
        with catch_interrupts():
            model.fit(
                batches.feed(epochs.start),
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                steps_per_epoch=batches.steps,
                validation_data=validation_data,
                validation_batch_size=_VALIDATION_BATCH,
                shuffle=False,  # the stream is already shuffled
                callbacks=callbacks,
                verbose=0,
            )
    except (InterruptedTraining, DivergedError) as ending:
        return ending
    return None


def _result(model: keras.Model, history: list[Row], best: int, interrupted: bool) -> TrainingResult:
    return TrainingResult(
        model=model,
        epochs=len(history),
        best_epoch=best,
        seconds=sum(row["seconds"] for row in history),
        cpu_seconds=sum(row.get("cpu_seconds", 0.0) for row in history),  # an earlier version did not measure it
        interrupted=interrupted,
        peak_memory_gib=peak_memory_gib(),
    )


def new_model(
    config: Config, dataset: Dataset, precision: str, note: Callable[[str], None] = lambda _: None
) -> keras.Model:
    """Build the configured network, or adapt the trained one that it starts from.

    `note` receives how a third-party model was adapted.
    """
    classes = len(dataset.class_names)
    if config.model.init_from:
        keras.utils.set_random_seed(config.training.seed)  # also for dropout layers in the file
        source = open_start(config.model, dataset, note)
        return adapt_model(source, classes, config.model, config.training.seed)
    model = config.model
    return build_model(model.architecture, model.arguments, classes, seed=config.training.seed, precision=precision)


def _in_float32(model: keras.Model, config: Config, dataset: Dataset) -> keras.Model:
    """Return the same network in float32, with its own weights."""
    if not config.model.init_from:
        return new_model(config, dataset, precision="float32")
    float32_model = keras.models.clone_model(model)  # float32, like all model files
    float32_model.set_weights(model.get_weights())
    return float32_model


def _final_weights(
    config: Config,
    state: TrainingState,
    model: keras.Model,
    sample: NDArray[np.uint8],  # [n, 28, 28, 1]
) -> Weights:
    """Return the weights of the final model: those of the best or the last epoch, or the current ones before that."""
    if not state.epochs_done:
        measure_statistics(model, sample)
        weights: Weights = model.get_weights()
        return weights
    return state.best_weights if config.training.keep == "best" else state.last_weights


def fix_operation_order() -> None:
    """Make operations repeatable bit for bit on the same machine (TensorFlow; other backends are, on CPUs)."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def steps_per_execution(steps: int) -> int:
    """Return how many batches the backend runs at once: a divisor of `steps`, so that none crosses the epoch's end."""
    if keras.backend.backend() == "torch":
        return 1  # Keras allows no more on torch
    return next(size for size in range(min(steps, _STEPS_PER_EXECUTION), 0, -1) if steps % size == 0)


def _explain_divergence(error: DivergedError, state: TrainingState, run: RunFolder) -> DivergedError:
    """Describe what was saved before training diverged."""
    kept = f"the best finished epoch ({state.best_epoch}) is saved in {run.best_checkpoint}"
    return DivergedError(
        f"{error}; {kept if state.epochs_done else 'no epoch was finished'}. "
        "Lower the learning rate (--learning-rate), or train in float32 (--set training.precision=float32)."
    )
