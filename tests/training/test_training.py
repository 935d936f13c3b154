"""Whole trainings, each a second or two, from a configuration to a run folder."""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.util
import math
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from late import Late
from mnist_cnn.config import Config, load_recipe, save_config
from mnist_cnn.datasets import split_validation
from mnist_cnn.errors import DivergedError, InputError, MissingExtraError, MnistCnnError
from mnist_cnn.runs import Row, RunFolder, create_run
from training.tiny import Recorder, Trained, digits, tiny_config, train_tiny

if TYPE_CHECKING:
    from mnist_cnn.training.trainer import TrainingResult

keras, callbacks, trainer = Late("keras"), Late("mnist_cnn.training.callbacks"), Late("mnist_cnn.training.trainer")
checkpoint, precision = Late("mnist_cnn.training.checkpoint"), Late("mnist_cnn.training.precision")
persistence, predictions = Late("mnist_cnn.models.persistence"), Late("mnist_cnn.evaluation.predictions")


def evaluate(model: Any) -> tuple[float, float]:
    """Return loss and accuracy on the tiny validation set, computed by hand."""
    _, held_out = split_validation(digits(), 0.2, 0)
    assert held_out is not None
    probabilities = predictions.predict_images(model, held_out.images)
    right = probabilities[np.arange(len(held_out)), held_out.labels]
    return float(-np.log(right).mean()), float((probabilities.argmax(axis=1) == held_out.labels).mean())


def test_the_run_folder_holds_everything_and_nothing_half_written(trained: Trained) -> None:
    names = {path.name for path in trained.run.root.iterdir()}
    assert names == {
        "config.toml", "environment.json", "history.csv", "history.json", "log.txt", "best.keras",
        "model.keras", "model.weights.h5", "model.h5",
    }  # fmt: skip
    assert trained.run.finished
    assert load_recipe(str(trained.run.config)) == trained.config
    lines = [line.split(" ", 1)[1] for line in trained.run.log.read_text().splitlines()]
    assert lines[0].startswith("began tiny-001: 300 images of digits")
    assert [line.startswith("epoch ") for line in lines] == [False, True, True, True, False]
    assert lines[-1] == "finished after 3 epochs"


def test_the_environment_says_what_the_run_was_made_from(trained: Trained) -> None:
    written = trained.run.read_json(trained.run.environment)
    assert written["data"]["sha256"] == digits().checksum()
    assert (written["data"]["name"], written["data"]["images"]) == ("digits", 300)
    assert written["backend"] == keras.backend.backend()
    assert written["packages"]["keras"] == keras.__version__
    assert any("--deterministic" in reason for reason in written["not_fixed_by_seed"])


def test_histories_and_listener_agree_and_the_network_learns(trained: Trained) -> None:
    with trained.run.history_csv.open(newline="") as table:
        from_csv = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(table)]
    assert from_csv == trained.run.read_json(trained.run.history_json) == trained.heard.rows
    measured = ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert list(from_csv[0]) == ["epoch", *measured, "learning_rate", "seconds", "cpu_seconds"]
    assert trained.column("epoch") == [1, 2, 3]
    assert trained.column("learning_rate") == pytest.approx([1e-2] * 3)
    assert trained.result.seconds == pytest.approx(sum(trained.column("seconds")))
    losses = trained.column("val_loss")
    assert losses[-1] < 0.75 * losses[0]
    steps = math.ceil(300 * 0.8 / 32)
    assert trained.heard.starts == [(0, 3, steps)]
    assert {(epoch, steps) for epoch in range(3)} <= set(trained.heard.steps), "the end of each epoch must be reported"
    assert trained.heard.steps == sorted(set(trained.heard.steps))


def test_the_best_epoch_becomes_the_model(trained: Trained) -> None:
    losses = trained.column("val_loss")
    best = 1 + losses.index(min(losses))
    assert trained.result.best_epoch == best
    assert [index + 1 for index, is_best in enumerate(trained.heard.best) if is_best][-1] == best
    loss, accuracy = evaluate(trained.result.model)
    assert loss == pytest.approx(min(losses), rel=1e-4)
    assert accuracy == pytest.approx(trained.column("val_accuracy")[best - 1])


@pytest.mark.parametrize("name", ["model", "best_checkpoint", "legacy_h5", "weights"])
def test_every_saved_model_predicts_like_the_one_in_memory(trained: Trained, name: str) -> None:
    model = persistence.open_model(trained.run.model if name == "weights" else getattr(trained.run, name))
    if name == "weights":
        model.set_weights([np.zeros_like(weights) for weights in model.get_weights()])
        model.load_weights(trained.run.weights)
    expected = predictions.predict_images(trained.result.model, digits().images)
    np.testing.assert_allclose(predictions.predict_images(model, digits().images), expected, atol=1e-6)


def test_a_finished_run_is_not_trained_again(trained: Trained) -> None:
    before = {path: path.read_bytes() for path in trained.run.root.iterdir()}
    heard = Recorder()
    again = trainer.train(trained.config, digits(), trained.run, listener=heard)
    assert not heard.steps
    assert {path: path.read_bytes() for path in before} == before
    assert dataclasses.replace(again, model=None, peak_memory_gib=0) == dataclasses.replace(
        trained.result, model=None, peak_memory_gib=0
    )
    np.testing.assert_array_equal(again.model.get_weights()[0], trained.result.model.get_weights()[0])


def script_validation(patch: pytest.MonkeyPatch, losses: list[float], accuracies: list[float] | None = None) -> None:
    """Let validation find these losses, one per epoch."""
    left = iter(zip(losses, accuracies or [1 / (1 + loss) for loss in losses], strict=True))
    patch.setattr(
        keras.Model, "evaluate", lambda *_, **__: dict(zip(("loss", "accuracy"), next(left, (9, 0)), strict=True))
    )


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_configured_epoch_is_kept(tmp_path: Path, keep: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        script_validation(patch, [1.0, 2.0])
        done = train_tiny(tmp_path, {"training.keep": keep, "training.epochs": 2})
    assert done.result.best_epoch == 1
    best, last = (persistence.open_model(path).get_weights() for path in (done.run.best_checkpoint, done.run.model))
    is_same = all(np.array_equal(a, b) for a, b in zip(best, last, strict=True))
    assert is_same == (keep == "best")


def test_patience_lowers_the_rate_and_stops_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_validation(monkeypatch, [3.0, 2.0, 2.5, 2.4, 2.3, 1.0])
    settings = {"training.early_stopping": 3, "training.reduce_on_plateau": 2, "training.reduce_factor": 0.25}
    done = train_tiny(tmp_path, {**settings, "training.epochs": 9, "optimizer.learning_rate": 0.008})
    assert (done.result.epochs, done.result.best_epoch, done.run.finished) == (5, 2, True)
    assert done.column("learning_rate") == pytest.approx([0.008, 0.008, 0.008, 0.008, 0.002])


def test_accuracy_may_decide_which_epoch_is_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_validation(monkeypatch, [1.0, 2.0, 0.5], [0.5, 0.7, 0.7])
    assert train_tiny(tmp_path, {"training.monitor": "accuracy"}).result.best_epoch == 2


def test_without_validation_the_training_result_decides(tmp_path: Path) -> None:
    done = train_tiny(tmp_path, {"data.validation": 0.0, "training.early_stopping": 5, "training.reduce_on_plateau": 5})
    assert "val_loss" not in done.heard.rows[0]
    losses = done.column("loss")
    assert done.result.best_epoch == 1 + losses.index(min(losses))
    assert done.heard.starts[0][2] == math.ceil(300 / 32)
    assert trainer.train(done.config, digits(), done.run).best_epoch == done.result.best_epoch


def test_averaged_weights_are_validated_and_kept_while_training_continues_from_the_raw_ones(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = record_weights(monkeypatch)
    done = train_tiny(tmp_path, {"training.keep": "last", "optimizer.ema": 0.5})
    for key in ("loss", "accuracy"):
        assert done.column(key) == pytest.approx(trained.column(key), rel=5e-3), key
    averages = raw[0]
    for step, weights in enumerate(raw[1:], start=1):
        momentum = min(1 - 1 / (0.5 * len(raw)), (1 + step) / (10 + step))
        averages = [momentum * a + (1 - momentum) * w for a, w in zip(averages, weights, strict=True)]
    for kept, average, last in zip(done.result.model.get_weights(), averages, raw[-1], strict=True):
        np.testing.assert_allclose(kept, average, atol=1e-5)
        assert np.abs(average - last).max() > 1e-3, "the test must see a difference"
    assert evaluate(done.result.model)[0] == pytest.approx(done.column("val_loss")[-1], rel=1e-3)


def record_weights(monkeypatch: pytest.MonkeyPatch) -> list[list[NDArray[np.float32]]]:
    """Note the raw weights after every single step."""
    noted: list[list[NDArray[np.float32]]] = []
    end = callbacks.Watch.on_train_batch_end

    def note(watch: Any, batch: int, logs: dict[str, Any] | None = None) -> None:
        noted.append(watch.model.get_weights())
        end(watch, batch, logs)

    monkeypatch.setattr(callbacks.Watch, "on_train_batch_end", note)
    monkeypatch.setattr("mnist_cnn.training.trainer.steps_per_execution", lambda _: 1)
    return noted


@pytest.mark.parametrize(
    ("layer", "message"),
    # Whether ReLU hides the NaN of the first layer from the loss depends on the processor's kernels.
    [(-2, "the loss became nan"), (0, "(the loss became nan|weights became NaN or infinite)")],
)
def test_nan_stops_training_and_the_best_model_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: int, message: str
) -> None:
    run = create_run(tmp_path, "tiny")
    poison_weights(monkeypatch, layer, before_epoch=1)
    with pytest.raises(DivergedError, match=rf"{message} in epoch 2; the best finished epoch \(1\) .*best\.keras"):
        trainer.train(tiny_config(), digits(), run)
    assert len(run.read_json(run.history_json)) == 1
    assert not run.model.exists()
    best = persistence.open_model(run.best_checkpoint)
    assert np.isfinite(predictions.predict_images(best, digits().images)).all()


def poison_weights(monkeypatch: pytest.MonkeyPatch, layer: int, before_epoch: int) -> None:
    """Put a NaN into the network at the start of the epoch (0-based), as a too large step would."""
    begin = callbacks.Watch.on_epoch_begin

    def poisoned(watch: Any, epoch: int, logs: dict[str, Any] | None = None) -> None:
        begin(watch, epoch, logs)
        if epoch == before_epoch:
            kernel = watch.model.trainable_variables[layer]
            kernel.assign(np.full(kernel.shape, np.nan))

    monkeypatch.setattr(callbacks.Watch, "on_epoch_begin", poisoned)


def test_a_last_step_that_ruins_validation_is_noticed(tmp_path: Path) -> None:
    run = create_run(tmp_path, "tiny")
    # One batch per epoch: its loss is computed before the update that ruins the weights.
    settings = {"optimizer.name": "sgd", "optimizer.learning_rate": 1e38, "training.batch_size": 300}
    with pytest.raises(DivergedError, match=r"val_loss became nan in epoch 1; no epoch was finished\. Lower the"):
        trainer.train(tiny_config(settings), digits(), run)
    assert not run.best_checkpoint.exists()
    assert not run.model.exists()


class Interrupting(Recorder):
    """Presses Ctrl-C in an epoch (1-based)."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        super().on_step(epoch, step, loss, accuracy)
        if epoch + 1 == self._epoch:
            signal.raise_signal(signal.SIGINT)
            self._epoch = 0


def interrupt_in_epoch(epoch: int, run: RunFolder, config: Config) -> TrainingResult:
    before = signal.getsignal(signal.SIGINT)
    result: TrainingResult = trainer.train(config, digits(), run, listener=Interrupting(epoch))
    assert signal.getsignal(signal.SIGINT) is before
    return result


def test_ctrl_c_pauses_and_the_run_resumes_with_the_same_data_and_network_only(tmp_path: Path) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config({"training.epochs": 2})
    result = interrupt_in_epoch(2, run, config)
    assert (result.interrupted, result.epochs, run.finished) == (True, 1, False)
    loss, _ = evaluate(persistence.open_model(run.model))
    assert loss == pytest.approx(run.read_json(run.history_json)[0]["val_loss"], rel=1e-4)

    swapped = dataclasses.replace(digits(), labels=digits().labels[::-1].copy())
    with pytest.raises(InputError, match="was started with other training data"):
        trainer.train(config, swapped, run)
    other = tiny_config({"training.epochs": 2, "model.arguments.dense": 17})
    with pytest.raises(InputError, match="was begun with other settings"):
        trainer.train(other, digits(), run)
    save_config(run.config, other)
    with pytest.raises(InputError, match="belongs to another network"):
        trainer.train(other, digits(), run)
    save_config(run.config, config)

    heard = Recorder()
    result = trainer.train(config, digits(), run, listener=heard)
    assert heard.starts[0][:2] == (1, 2)
    assert (result.interrupted, result.epochs, run.finished) == (False, 2, True)
    assert [row["epoch"] for row in run.read_json(run.history_json)] == [1, 2]


def test_nothing_of_the_unfinished_model_remains_when_a_run_is_resumed(tmp_path: Path) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config({"training.epochs": 2})
    trainer.train(config, digits(), run, listener=Interrupting(2), legacy_h5=True)
    run.exports.mkdir()
    unfinished = run.legacy_h5.read_bytes()
    result = trainer.train(config, digits(), run)
    assert not run.exports.exists()
    assert run.legacy_h5.read_bytes() != unfinished
    expected = predictions.predict_images(result.model, digits().images)
    found = predictions.predict_images(persistence.open_model(run.legacy_h5), digits().images)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_folded_network_is_saved_without_normalisation_also_by_a_run_that_is_resumed(tmp_path: Path) -> None:
    network = {"model.architecture": "separable", "model.arguments": {"stem": 4, "filters": [6, 8]}}
    run, config = create_run(tmp_path, "tiny"), tiny_config({"training.epochs": 2, "model.fold": True, **network})
    for train in (functools.partial(interrupt_in_epoch, 2), functools.partial(trainer.train, dataset=digits())):
        ended = train(run=run, config=config)
        saved = persistence.open_model(run.model)
        assert not [layer for layer in saved.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert saved.count_params() == ended.model.count_params()
        best = run.read_json(run.history_json)[ended.best_epoch - 1]
        assert evaluate(saved)[0] == pytest.approx(best["val_loss"], rel=1e-4)
    assert run.finished


def test_ctrl_c_in_the_first_epoch_leaves_an_unfinished_run_with_a_model(tmp_path: Path) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config({"training.epochs": 1})
    result = interrupt_in_epoch(1, run, config)
    assert (result.interrupted, result.epochs) == (True, 0)
    assert persistence.open_model(run.model).output_shape == (None, 10)
    assert not run.finished
    with ThreadPoolExecutor(1) as pool:  # where no signal arrives; the last Ctrl-C must not stop it
        assert pool.submit(trainer.train, config, digits(), run).result().epochs == 1
    assert run.finished


class Dying(Recorder):
    """Fails at the end of an epoch: the state is saved, and nothing after it."""

    def on_epoch(self, row: Row, is_best: bool) -> None:
        super().on_epoch(row, is_best)
        raise RuntimeError("the process dies here")


def test_a_resumed_run_writes_what_a_dying_process_could_not(tmp_path: Path) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config({"training.epochs": 1})
    with pytest.raises(RuntimeError, match="dies here"):
        trainer.train(config, digits(), run, listener=Dying())
    run.best_checkpoint.unlink()
    run.history_csv.unlink()
    heard = Recorder()
    trainer.train(config, digits(), run, listener=heard)
    assert not heard.steps, "the epoch was finished"
    assert run.best_checkpoint.exists()
    assert len(run.history_csv.read_text().splitlines()) == 2


@pytest.mark.slow
def test_after_a_full_disk_resuming_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config({"training.epochs": 2})
    save: Callable[..., None] = checkpoint.TrainingState.save

    def save_until_full(state: Any, folder: Path) -> None:
        if state.epochs_done == 2:
            raise MnistCnnError("the disk is full")
        save(state, folder)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.TrainingState, "save", save_until_full)
        with pytest.raises(MnistCnnError, match="the disk is full"):
            trainer.train(config, digits(), run)
    assert len(run.read_json(run.history_json)) == 1
    heard = Recorder()
    assert trainer.train(config, digits(), run, listener=heard).epochs == 2
    assert heard.starts[0][0] == 1


@pytest.mark.slow
def test_tensorboard_files_are_written_on_request(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TENSORBOARD NOT TESTED: pip install '.[tensorboard]'")
    run = train_tiny(tmp_path, {"training.epochs": 1}, tensorboard=True).run
    assert any(path.stat().st_size for path in run.tensorboard.rglob("events.out.tfevents.*"))


def test_a_missing_tensorboard_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build = callbacks.tensorboard_callback
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="tensorboard"):
        build(tmp_path)


@pytest.mark.slow
def test_mixed_precision_trains_and_saves_float32(tmp_path: Path) -> None:
    arguments = {"stem": 4, "filters": [4, 8], "blocks": 1}
    settings = {"model.architecture": "resnet", "model.arguments": arguments, "training.epochs": 2}
    done = train_tiny(tmp_path, {**settings, "training.precision": "mixed_bfloat16", "training.keep": "last"})
    assert {weights.dtype for weights in done.result.model.get_weights()} == {np.dtype("float32")}
    loss, _ = evaluate(done.result.model)  # in float32
    assert loss == pytest.approx(done.column("val_loss")[-1], rel=0.03)


@pytest.mark.parametrize("loss", ["sparse", "one-hot"])
def test_the_training_step_is_traced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow traces")
    steps: list[Any] = []
    step = keras.Model.train_step

    def count(self: Any, data: Any) -> Any:
        steps.append(data)
        return step(self, data)

    monkeypatch.setattr(keras.Model, "train_step", count)
    train_tiny(tmp_path, {"training.batch_size": 24, "training.loss": loss})  # batches of one size
    assert len(steps) == 1


def test_automatic_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    automatic = tiny_config({"training.precision": "auto"})
    for devices, has_bfloat16, expected in (
        (["CPU:0"], True, "mixed_bfloat16"),
        (["CPU:0"], False, "float32"),
        (["CPU:0", "GPU:0"], False, "mixed_bfloat16"),
    ):
        monkeypatch.setattr("mnist_cnn.training.precision.devices", lambda found=devices: found)
        monkeypatch.setattr("mnist_cnn.training.precision.has_bfloat16", lambda has=has_bfloat16: has)
        assert precision.training_precision(automatic) == expected
    assert precision.training_precision(tiny_config({"training.precision": "float32"})) == "float32"


@pytest.mark.parametrize(("steps", "together"), [(8, 8), (375, 15), (751, 1)])
def test_executions_never_cross_the_end_of_an_epoch(steps: int, together: int) -> None:
    assert trainer.steps_per_execution(steps) == together
