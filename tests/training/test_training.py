"""Whole trainings, each a second or two, from a configuration to a run folder."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import math
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import pytest

from mnist_cnn.config import load_recipe
from mnist_cnn.datasets import split_validation
from mnist_cnn.environment.installation import install_command
from mnist_cnn.errors import DivergedError, InputError, MissingExtraError, MnistCnnError
from mnist_cnn.evaluation.predictions import predict_images
from mnist_cnn.models.persistence import open_model
from mnist_cnn.runs import RunFolder, create_run
from mnist_cnn.training import callbacks, trainer
from mnist_cnn.training import precision as precision_module
from mnist_cnn.training.checkpoint import TrainingState
from mnist_cnn.training.precision import training_precision
from mnist_cnn.training.trainer import TrainingResult, train
from training.tiny import Recorder, digits, tiny_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mnist_cnn.config import Config
    from mnist_cnn.runs import Row


class Trained(NamedTuple):
    config: Config
    run: RunFolder
    result: TrainingResult
    heard: Recorder

    @property
    def history(self) -> list[Row]:
        rows: list[Row] = self.run.read_json(self.run.history_json)
        return rows


def train_tiny(
    folder: Path, settings: dict[str, Any] | None = None, *, tensorboard: bool = False, legacy_h5: bool = False
) -> Trained:
    config, run, heard = tiny_config(settings), create_run(folder, "tiny"), Recorder()
    return Trained(
        config, run, train(config, digits(), run, listener=heard, tensorboard=tensorboard, legacy_h5=legacy_h5), heard
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train_tiny(tmp_path_factory.mktemp("runs"), legacy_h5=True)


def column(rows: list[Row], key: str) -> list[float]:
    return [row[key] for row in rows]


def evaluate(model: keras.Model, count: int = 300) -> tuple[float, float]:
    """Give loss and accuracy on the tiny validation set, computed by hand."""
    _, held_out = split_validation(digits(count), 0.2, 0)
    assert held_out is not None
    probabilities = predict_images(model, held_out.images)
    right = probabilities[np.arange(len(held_out)), held_out.labels]
    return float(-np.log(right).mean()), float((probabilities.argmax(axis=1) == held_out.labels).mean())


def test_a_network_learns(trained: Trained) -> None:
    losses = column(trained.history, "val_loss")
    assert losses[-1] < 0.75 * losses[0]
    assert trained.history[-1]["val_accuracy"] > 0.5


def test_the_run_folder_holds_everything_and_nothing_half_written(trained: Trained) -> None:
    run = trained.run
    names = {path.name for path in run.root.iterdir()}
    assert names == {
        "config.toml", "environment.json", "history.csv", "history.json", "log.txt", "best.keras",
        "model.keras", "model.weights.h5", "model.h5",
    }  # fmt: skip
    assert run.finished
    assert load_recipe(str(run.config)) == trained.config


def test_the_environment_says_what_the_run_was_made_from(trained: Trained) -> None:
    written = trained.run.read_json(trained.run.environment)
    assert written["data"]["sha256"] == digits().checksum()
    assert (written["data"]["name"], written["data"]["images"]) == ("digits", 300)
    assert written["backend"] == keras.backend.backend()
    assert written["packages"]["keras"] == keras.__version__
    assert any("--deterministic" in reason for reason in written["not_fixed_by_seed"])


def test_both_histories_and_the_listener_tell_the_same(trained: Trained) -> None:
    with trained.run.history_csv.open(newline="") as table:
        from_csv = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(table)]
    assert from_csv == trained.history == trained.heard.rows
    assert column(trained.history, "epoch") == [1, 2, 3]
    assert list(trained.history[0]) == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds",
    ]  # fmt: skip
    assert column(trained.history, "learning_rate") == pytest.approx([1e-2] * 3)
    assert trained.result.seconds == pytest.approx(sum(column(trained.history, "seconds")))


def test_the_listener_hears_of_every_step(trained: Trained) -> None:
    steps = math.ceil(300 * 0.8 / 32)
    assert trained.heard.starts == [(0, 3, steps)]
    assert {(epoch, steps) for epoch in range(3)} <= set(trained.heard.steps), "the end of each epoch must be told"
    assert trained.heard.steps == sorted(set(trained.heard.steps))


def test_the_best_epoch_becomes_the_model(trained: Trained) -> None:
    losses = column(trained.history, "val_loss")
    best = 1 + losses.index(min(losses))
    assert trained.result.best_epoch == best
    assert [index + 1 for index, is_best in enumerate(trained.heard.best) if is_best][-1] == best
    loss, accuracy = evaluate(trained.result.model)
    assert loss == pytest.approx(min(losses), rel=1e-4)
    assert accuracy == pytest.approx(trained.history[best - 1]["val_accuracy"])


@pytest.mark.parametrize("name", ["model", "best_checkpoint", "legacy_h5"])
def test_every_saved_model_predicts_as_the_one_in_memory(trained: Trained, name: str) -> None:
    images = digits().images
    saved = predict_images(open_model(getattr(trained.run, name)), images)
    np.testing.assert_allclose(saved, predict_images(trained.result.model, images), atol=1e-6)


def test_the_weights_alone_fit_the_network(trained: Trained) -> None:
    model = open_model(trained.run.model)
    expected = model.get_weights()
    model.set_weights([np.zeros_like(weights) for weights in expected])
    model.load_weights(trained.run.weights)
    for loaded, weights in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(loaded, weights)


def test_a_finished_run_is_not_trained_again(trained: Trained) -> None:
    before = {path: path.read_bytes() for path in trained.run.root.iterdir() if path != trained.run.log}
    heard = Recorder()
    again = train(trained.config, digits(), trained.run, listener=heard)
    assert not heard.steps
    assert {path: path.read_bytes() for path in before} == before
    assert (again.epochs, again.best_epoch) == (trained.result.epochs, trained.result.best_epoch)
    assert again.seconds == pytest.approx(trained.result.seconds)
    assert not again.interrupted
    np.testing.assert_array_equal(again.model.get_weights()[0], trained.result.model.get_weights()[0])


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_epoch_that_was_asked_for_is_kept(tmp_path: Path, keep: str) -> None:
    last_is_worse = scripted_validation([3.0, 1.0, 2.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "evaluate", last_is_worse)
        done = train_tiny(tmp_path, {"training.keep": keep, "training.epochs": 3})
    assert done.result.best_epoch == 2
    best, last = (open_model(path).get_weights() for path in (done.run.best_checkpoint, done.run.model))
    is_same = all(np.array_equal(a, b) for a, b in zip(best, last, strict=True))
    assert is_same == (keep == "best")


def scripted_validation(losses: list[float]) -> Callable[..., dict[str, float]]:
    """Give a stand-in for `Model.evaluate` that finds these losses, one per epoch, and then the last one again."""
    left = list(losses)

    def evaluate(*_: object, **__: object) -> dict[str, float]:
        loss = left.pop(0) if len(left) > 1 else left[0]
        return {"loss": loss, "accuracy": 1 / (1 + loss)}

    return evaluate


def test_training_stops_when_validation_gets_no_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.Model, "evaluate", scripted_validation([3.0, 2.0, 2.5, 2.4, 2.3, 1.0]))
    done = train_tiny(tmp_path, {"training.early_stopping": 3, "training.epochs": 9})
    assert (done.result.epochs, done.result.best_epoch) == (5, 2)
    assert len(done.history) == 5
    assert done.run.finished


def test_a_plateau_lowers_the_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.Model, "evaluate", scripted_validation([2.0, 3.0, 3.0, 1.0, 3.0]))
    settings = {"training.reduce_on_plateau": 2, "training.reduce_factor": 0.25, "training.epochs": 5}
    done = train_tiny(tmp_path, {**settings, "optimizer.learning_rate": 0.008})
    assert column(done.history, "learning_rate") == pytest.approx([0.008, 0.008, 0.008, 0.002, 0.002])


def test_accuracy_may_decide_which_epoch_is_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([{"loss": 1.0, "accuracy": 0.5}, {"loss": 2.0, "accuracy": 0.7}, {"loss": 0.5, "accuracy": 0.7}])
    monkeypatch.setattr(keras.Model, "evaluate", lambda *_, **__: next(values))
    assert train_tiny(tmp_path, {"training.monitor": "accuracy"}).result.best_epoch == 2


def test_without_validation_the_training_result_decides(tmp_path: Path) -> None:
    done = train_tiny(tmp_path, {"data.validation": 0.0, "training.early_stopping": 5, "training.reduce_on_plateau": 5})
    assert list(done.history[0]) == ["epoch", "loss", "accuracy", "learning_rate", "seconds"]
    losses = column(done.history, "loss")
    assert done.result.best_epoch == 1 + losses.index(min(losses))
    assert done.heard.starts[0][2] == math.ceil(300 / 32)
    again = train(done.config, digits(), done.run)
    assert again.best_epoch == done.result.best_epoch


def test_averaged_weights_are_validated_and_kept_while_training_goes_on_from_the_raw_ones(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = record_weights(monkeypatch)
    done = train_tiny(tmp_path, {"training.keep": "last", "optimizer.ema": 0.5})
    for key in ("loss", "accuracy"):
        assert column(done.history, key) == pytest.approx(column(trained.history, key), rel=5e-3), key
    averages = raw[0]
    for step, weights in enumerate(raw[1:], start=1):
        momentum = min(1 - 1 / (0.5 * len(raw)), (1 + step) / (10 + step))
        averages = [momentum * a + (1 - momentum) * w for a, w in zip(averages, weights, strict=True)]
    for kept, average, last in zip(done.result.model.get_weights(), averages, raw[-1], strict=True):
        np.testing.assert_allclose(kept, average, atol=1e-5)
        assert np.abs(average - last).max() > 1e-3, "the test must see a difference"
    loss, _ = evaluate(done.result.model)
    assert loss == pytest.approx(done.history[-1]["val_loss"], rel=1e-3)


def record_weights(monkeypatch: pytest.MonkeyPatch) -> list[list[NDArray[np.float32]]]:
    """Note the raw weights after every single step."""
    noted: list[list[NDArray[np.float32]]] = []
    end = callbacks.Watch.on_train_batch_end

    def note(watch: callbacks.Watch, batch: int, logs: dict[str, Any] | None = None) -> None:
        noted.append([keras.ops.convert_to_numpy(variable) for variable in watch.model.trainable_variables])
        end(watch, batch, logs)

    monkeypatch.setattr(callbacks.Watch, "on_train_batch_end", note)
    monkeypatch.setattr(trainer, "steps_per_execution", lambda _: 1)
    return noted


def test_sparse_and_one_hot_losses_agree(tmp_path: Path, trained: Trained) -> None:
    one_hot = train_tiny(tmp_path, {"training.loss": "one-hot"}).history
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert column(one_hot, key) == pytest.approx(column(trained.history, key), rel=5e-3), key


def test_label_smoothing_raises_the_loss_as_its_formula_says(tmp_path: Path) -> None:
    settings = {"training.loss": "one-hot", "training.label_smoothing": 0.2, "training.keep": "last"}
    done = train_tiny(tmp_path, settings)
    _, held_out = split_validation(digits(), 0.2, 0)
    assert held_out is not None
    logarithms = np.log(predict_images(done.result.model, held_out.images))
    wanted = 0.8 * np.eye(10)[held_out.labels] + 0.2 / 10
    assert done.history[-1]["val_loss"] == pytest.approx(float(-(wanted * logarithms).sum(axis=1).mean()), rel=1e-3)


def test_few_images_per_class(tmp_path: Path) -> None:
    done = train_tiny(tmp_path, {"data.per_class": 8, "training.batch_size": 5, "training.epochs": 1})
    assert done.heard.starts == [(0, 1, math.ceil(80 * 0.8 / 5))]


@pytest.mark.parametrize(
    ("layer", "message"),
    # Whether ReLU hides the NaN of the first layer from the loss depends on the processor's kernels.
    [(-2, "the loss became nan"), (0, "(the loss became nan|weights became infinite or no number)")],
)
def test_a_number_that_is_none_ends_training_and_the_best_model_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: int, message: str
) -> None:
    run = create_run(tmp_path, "tiny")
    poison_weights(monkeypatch, layer, before_epoch=1)
    with pytest.raises(DivergedError, match=rf"{message} in epoch 2; the best finished epoch \(1\) .*best\.keras"):
        train(tiny_config(), digits(), run)
    assert len(run.read_json(run.history_json)) == 1
    assert not run.model.exists()
    assert np.isfinite(predict_images(open_model(run.best_checkpoint), digits().images)).all()


def poison_weights(monkeypatch: pytest.MonkeyPatch, layer: int, before_epoch: int) -> None:
    """Put a NaN into the network at the beginning of the epoch (0-based), as a step too long would."""
    begin = callbacks.Watch.on_epoch_begin

    def poisoned(watch: callbacks.Watch, epoch: int, logs: dict[str, Any] | None = None) -> None:
        begin(watch, epoch, logs)
        if epoch == before_epoch:
            kernel = watch.model.trainable_variables[layer]
            kernel.assign(np.full(kernel.shape, np.nan))

    monkeypatch.setattr(callbacks.Watch, "on_epoch_begin", poisoned)


def test_an_absurd_rate_diverges_with_a_way_out(tmp_path: Path) -> None:
    run = create_run(tmp_path, "tiny")
    absurd = tiny_config({"optimizer.name": "sgd", "optimizer.learning_rate": 1e30})
    with pytest.raises(DivergedError, match=r"no epoch was finished\. Lower the learning rate") as caught:
        train(absurd, digits(), run)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    assert not run.model.exists()


def test_a_last_step_that_ruins_validation_is_noticed(tmp_path: Path) -> None:
    run = create_run(tmp_path, "tiny")
    # One batch per epoch: its loss is measured before the step that ruins the weights.
    settings = {"optimizer.name": "sgd", "optimizer.learning_rate": 1e38, "training.batch_size": 300}
    with pytest.raises(DivergedError, match="val_loss became nan in epoch 1; no epoch was finished"):
        train(tiny_config(settings), digits(), run)
    assert not run.best_checkpoint.exists()


def test_other_data_and_another_network_are_refused_on_resuming(tmp_path: Path) -> None:
    run = create_run(tmp_path, "tiny")
    interrupt_in_epoch(2, run, tiny_config())
    swapped = dataclasses.replace(digits(), labels=digits().labels[::-1].copy())
    for other in (digits(299), swapped):
        with pytest.raises(InputError, match="was begun with other training data"):
            train(tiny_config(), other, run)
    with pytest.raises(InputError, match="belongs to another network"):
        train(tiny_config({"model.arguments.dense": 17}), digits(), run)


class Interrupting(Recorder):
    """Presses Ctrl-C in an epoch (1-based)."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def on_step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        super().on_step(epoch, step, loss, accuracy)
        if epoch + 1 == self._epoch and (epoch, step) == self.steps[-1]:
            signal.raise_signal(signal.SIGINT)
            self._epoch = 0


def interrupt_in_epoch(epoch: int, run: RunFolder, config: Config) -> TrainingResult:
    before = signal.getsignal(signal.SIGINT)
    result = train(config, digits(), run, listener=Interrupting(epoch))
    assert signal.getsignal(signal.SIGINT) is before
    return result


def test_ctrl_c_ends_cleanly_and_the_run_goes_on_later(tmp_path: Path) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config()
    result = interrupt_in_epoch(2, run, config)
    assert (result.interrupted, result.epochs) == (True, 1)
    assert len(run.read_json(run.history_json)) == 1
    loss, _ = evaluate(open_model(run.model))
    assert loss == pytest.approx(run.read_json(run.history_json)[0]["val_loss"], rel=1e-4)
    assert not run.finished

    heard = Recorder()
    result = train(config, digits(), run, listener=heard)
    assert heard.starts[0][:2] == (1, 3)
    assert (result.interrupted, result.epochs) == (False, 3)
    assert column(run.read_json(run.history_json), "epoch") == [1, 2, 3]
    assert run.finished


def test_ctrl_c_in_the_first_epoch_leaves_a_model_and_a_run_that_is_not_finished(tmp_path: Path) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config({"training.epochs": 1})
    result = interrupt_in_epoch(1, run, config)
    assert (result.interrupted, result.epochs) == (True, 0)
    assert open_model(run.model).output_shape == (None, 10)
    assert not run.finished
    assert train(config, digits(), run).epochs == 1
    assert run.finished


def test_a_ctrl_c_ends_one_training_and_not_the_next_in_another_thread(tmp_path: Path) -> None:
    first, second = create_run(tmp_path, "tiny"), create_run(tmp_path, "tiny")
    assert interrupt_in_epoch(1, first, tiny_config()).interrupted
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(train, tiny_config(), digits(), second).result()
    assert (result.interrupted, result.epochs) == (False, 3)


class Dying(Recorder):
    """Fails while the listener is told of an epoch: the state is saved, and nothing after it."""

    def on_epoch(self, row: Row, is_best: bool) -> None:
        super().on_epoch(row, is_best)
        raise RuntimeError("the process dies here")


def test_what_a_dying_process_could_not_write_is_made_good(tmp_path: Path) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config({"training.epochs": 1})
    with pytest.raises(RuntimeError, match="dies here"):
        train(config, digits(), run, listener=Dying())
    run.best_checkpoint.unlink()
    run.history_csv.unlink()
    heard = Recorder()
    train(config, digits(), run, listener=heard)
    assert not heard.steps, "the epoch was finished"
    assert run.best_checkpoint.exists()
    assert len(run.history_csv.read_text().splitlines()) == 2


def test_a_full_disk_is_one_clear_line_and_resuming_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, config = create_run(tmp_path, "tiny"), tiny_config()
    save = TrainingState.save

    def save_until_full(state: TrainingState, folder: Path) -> None:
        if state.epochs_done == 2:
            raise MnistCnnError("the disk is full")
        save(state, folder)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "save", save_until_full)
        with pytest.raises(MnistCnnError, match="the disk is full"):
            train(config, digits(), run)
    assert len(run.read_json(run.history_json)) == 1
    heard = Recorder()
    assert train(config, digits(), run, listener=heard).epochs == 3
    assert heard.starts[0][0] == 1


def test_a_run_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MnistCnnError) as caught:
        train(tiny_config(), digits(), RunFolder(tmp_path / "file"))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == ""


def test_tensorboard_files_are_written_when_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TENSORBOARD NOT TESTED: pip install '.[tensorboard]'")
    run = train_tiny(tmp_path, {"training.epochs": 1}, tensorboard=True).run
    assert any(path.stat().st_size for path in run.tensorboard.rglob("events.out.tfevents.*"))


def test_a_missing_tensorboard_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=re.escape(str(install_command(["tensorboard"])))):
        callbacks.tensorboard_callback(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("batchnorm", {"filters": [4, 4], "dense": 16}),
        ("vgg", {"filters": [4, 4], "depth": 1}),
        ("resnet", {"stem": 4, "filters": [4, 8], "blocks": 1}),
    ],
)
def test_every_architecture_trains_in_mixed_precision(
    tmp_path: Path, architecture: str, arguments: dict[str, Any]
) -> None:
    settings = {"model.architecture": architecture, "model.arguments": arguments, "training.epochs": 2}
    done = train_tiny(tmp_path, {**settings, "training.precision": "mixed_bfloat16", "training.keep": "last"})
    assert {weights.dtype for weights in done.result.model.get_weights()} == {np.dtype("float32")}
    loss, _ = evaluate(done.result.model)  # in float32
    assert loss == pytest.approx(done.history[-1]["val_loss"], rel=0.03)


def test_automatic_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_module, "devices", lambda: ["CPU:0"])
    for has_bfloat16, precision in ((True, "mixed_bfloat16"), (False, "float32")):
        monkeypatch.setattr(precision_module, "has_bfloat16", lambda has=has_bfloat16: has)
        assert training_precision(tiny_config({"training.precision": "auto"})) == precision
    assert training_precision(tiny_config({"training.precision": "mixed_bfloat16"})) == "mixed_bfloat16"
    monkeypatch.setattr(precision_module, "devices", lambda: ["CPU:0", "GPU:0"])
    assert training_precision(tiny_config({"training.precision": "auto"})) == "mixed_bfloat16"


@pytest.mark.parametrize(("steps", "together"), [(8, 8), (375, 15), (751, 1), (48, 16), (1, 1), (34, 2)])
def test_executions_never_cross_the_end_of_an_epoch(steps: int, together: int) -> None:
    assert trainer.steps_per_execution(steps) == together


def test_the_log_tells_the_story(trained: Trained) -> None:
    lines = trained.run.log.read_text().splitlines()
    assert "began tiny-001: 300 images of digits" in lines[0]
    assert [line.split(" ", 1)[1].startswith("epoch ") for line in lines[1:4]] == [True] * 3
    assert json.dumps(lines).count("finished after 3 epochs") == 1
