from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from mnist_cnn.config import Config, ModelConfig
from mnist_cnn.datasets import Dataset
from mnist_cnn.errors import InputError
from mnist_cnn.evaluation.predictions import predict_images
from mnist_cnn.models.architectures import build_model
from mnist_cnn.models.persistence import OpenedModel, model_file, open_model, read_model
from mnist_cnn.runs import RunFolder, create_run
from mnist_cnn.training import transfer as transfer_module
from mnist_cnn.training.records import record_start
from mnist_cnn.training.trainer import TrainingResult, find_addition, prepare_data, train
from mnist_cnn.training.transfer import adapt_model
from training.tiny import Recorder, digits, tiny_config


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run with ten classes, batch normalisation and dropout."""
    run = create_run(tmp_path_factory.mktemp("runs"), "source")
    arguments = {"filters": [4, 8], "dense": 16, "dropout": 0.3}
    train(tiny_config({"model.architecture": "batchnorm", "model.arguments": arguments}), digits(), run)
    return run.root


@pytest.fixture(scope="module")
def five_classes() -> Dataset:
    few = digits().subset(np.flatnonzero(digits().labels < 5))
    return dataclasses.replace(few, class_names=tuple("abcde"))


def adapted(source: Path, **settings: object) -> Config:
    values = {f"model.{key}": value for key, value in settings.items()}
    return tiny_config({"model.init_from": str(source), "training.epochs": 1, **values})


def features(model: keras.Model) -> list[np.ndarray]:
    flatten = next(i for i, layer in enumerate(model.layers) if isinstance(layer, keras.layers.Flatten))
    return [weights for layer in model.layers[:flatten] for weights in layer.get_weights()]


def transfer(config: Config, data: Dataset, folder: Path) -> tuple[TrainingResult, RunFolder]:
    run = create_run(folder, "adapted")
    return train(config, data, run), run


def test_frozen_features_stay_as_they_were_under_a_new_output_layer(
    tmp_path: Path, source: Path, five_classes: Dataset
) -> None:
    result, run = transfer(adapted(source, freeze="features"), five_classes, tmp_path)
    model = open_model(run.model)
    original = open_model(source)
    assert model.output_shape == (None, 5)
    assert [layer.name for layer in model.layers] == [layer.name for layer in original.layers]
    for ours, theirs in zip(features(model), features(original), strict=True):
        np.testing.assert_array_equal(ours, theirs)  # moving statistics too
    assert not np.array_equal(model.get_layer("dense").get_weights()[0], original.get_layer("dense").get_weights()[0])
    learnt = sum(int(np.prod(weights.shape)) for weights in result.model.trainable_weights)
    assert learnt == (14 * 14 * 8 + 1) * 16 + (16 + 1) * 5
    assert len(run.read_json(run.environment)["init_from_sha256"]) == 64


def test_without_freezing_everything_goes_on_learning(tmp_path: Path, source: Path, five_classes: Dataset) -> None:
    result, _ = transfer(adapted(source), five_classes, tmp_path)
    for ours, theirs in zip(features(result.model), features(open_model(source)), strict=True):
        assert not np.array_equal(ours, theirs)


def test_a_head_start_shows(tmp_path: Path, source: Path) -> None:
    result, run = transfer(adapted(source), digits(), tmp_path)
    rows = run.read_json(run.history_json)
    began = RunFolder(source).read_json(RunFolder(source).history_json)
    assert rows[0]["loss"] < 0.8 * began[0]["loss"]
    assert result.model.output_shape == (None, 10)


def test_the_output_layer_is_kept_for_as_many_classes(source: Path) -> None:
    model = adapt_model(open_model(source), 10, ModelConfig(init_from="x"), seed=0)
    for ours, theirs in zip(model.get_weights(), open_model(source).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_was_frozen_in_the_source_learns_again_unless_frozen_anew(source: Path) -> None:
    frozen = adapt_model(open_model(source), 10, ModelConfig(init_from="x", freeze="features"), seed=0)
    assert len(frozen.trainable_weights) == 4
    thawed = adapt_model(frozen, 10, ModelConfig(init_from="x"), seed=0)
    assert len(thawed.trainable_weights) == len(open_model(source).trainable_weights) > 4


def test_the_seed_fixes_a_transfer_whatever_was_drawn_before(source: Path, five_classes: Dataset) -> None:
    from mnist_cnn.training.trainer import new_model

    drawn = []
    for noise in (1, 2):
        keras.utils.set_random_seed(noise)
        model = new_model(adapted(source), five_classes, precision="float32")
        drawn.append([keras.ops.convert_to_numpy(variable) for variable in model.variables])
    for first, second in zip(*drawn, strict=True):
        np.testing.assert_array_equal(first, second)  # the new layer, and the generators of dropout


def test_a_network_without_a_flattening_cannot_be_frozen() -> None:
    pixels = keras.Input((28, 28, 1))
    odd = keras.Model(pixels, keras.layers.Dense(10)(keras.layers.Reshape((784,))(pixels)), name="odd")
    with pytest.raises(InputError, match=r"odd has no flattening .*freeze = 'nothing'"):
        adapt_model(odd, 10, ModelConfig(init_from="x", freeze="features"), seed=0)


@pytest.mark.parametrize("architecture", ["conv3", "vgg"])
def test_freezing_leaves_the_classifier_to_learn(architecture: str) -> None:
    arguments = {"filters": [4, 8]} if architecture == "vgg" else {"filters": [4, 8], "dense": 16}
    model = adapt_model(
        build_model(architecture, arguments, 10), 3, ModelConfig(init_from="x", freeze="features"), seed=0
    )
    assert {weights.path.split("/")[0] for weights in model.trainable_weights} <= {"dense", "dense_1"}
    assert model.trainable_weights


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no model .*absent"):
        transfer(adapted(tmp_path / "absent.keras"), digits(), tmp_path)


def mirrored(label: int) -> np.ndarray:
    """Digits as the very young write some of them."""
    return np.ascontiguousarray(digits().images[digits().labels == label][:, :, ::-1])


def share_read_as(label: int, model: keras.Model, images: np.ndarray) -> float:
    return float((predict_images(model, images).argmax(axis=1) == label).mean())


@pytest.fixture
def own_sevens(tmp_path: Path) -> Path:
    """Five images of one class, mirrored."""
    folder = tmp_path / "mine" / "7"
    folder.mkdir(parents=True)
    for index, image in enumerate(mirrored(7)[:5]):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder.parent


def test_added_images_of_one_class_are_learnt_and_the_other_classes_kept(tmp_path: Path, own_sevens: Path) -> None:
    config = tiny_config({"model.init_from": "digits", "data.add": str(own_sevens), "optimizer.learning_rate": 1e-3})
    result, run = transfer(config, digits(), tmp_path)
    assert share_read_as(7, open_model(Path("digits")), mirrored(7)[5:]) < 0.5
    assert share_read_as(7, result.model, mirrored(7)[5:]) > 0.8
    assert (
        np.mean([share_read_as(label, result.model, digits().images[digits().labels == label]) for label in range(10)])
        > 0.95
    )
    recorded = run.read_json(run.environment)
    assert (recorded["data"]["images"], recorded["added"]["images"]) == (300, 5)
    assert "5 images from" in run.log.read_text("utf-8")
    file = model_file(Path("digits"))
    assert recorded["init_from_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_added_images_are_never_held_out(own_sevens: Path) -> None:
    config = tiny_config({"data.add": str(own_sevens), "data.add_share": 0.5})
    plain, held_out = prepare_data(tiny_config(), digits(), None)
    batches, same = prepare_data(config, digits(), find_addition(config, digits()))
    np.testing.assert_array_equal(same[0], held_out[0])
    np.testing.assert_array_equal(batches.images[: len(plain.images)], plain.images)
    assert len(batches.images) == 2 * len(plain.images)
    assert set(batches.targets[len(plain.images) :].tolist()) == {7}


def test_going_on_with_other_added_images_is_refused(tmp_path: Path, own_sevens: Path) -> None:
    config = tiny_config({"data.add": str(own_sevens)})
    run = create_run(tmp_path, "adapted")
    record_start(config, digits(), find_addition(config, digits()), run, "float32")
    (own_sevens / "7" / "0.png").unlink()
    with pytest.raises(InputError, match=r"begun with other training data .*Restore the data at .*mine"):
        record_start(config, digits(), find_addition(config, digits()), run, "float32")


def test_files_beside_the_data_set_are_opened_once(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def counting(path: Path, **how: Any) -> OpenedModel:
        opened.append(path)
        return read_model(path, **how)

    monkeypatch.setattr(transfer_module, "read_model", counting)
    transfer(adapted(source), digits(), tmp_path)
    assert opened == [source]


def test_a_start_of_another_project_is_fed_what_it_was_trained_on_and_that_is_said(tmp_path: Path) -> None:
    inner = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    theirs = keras.Sequential(inner)
    theirs.compile("adam", "sparse_categorical_crossentropy")
    theirs.fit(digits().images / 255.0, digits().labels, epochs=15, verbose=0)
    theirs.save(tmp_path / "theirs.keras")
    expected = theirs.predict(digits().images / 255.0, verbose=0)

    settings = {"model.init_from": str(tmp_path / "theirs.keras"), "training.epochs": 1}
    heard = Recorder()
    frozen = {**settings, "optimizer.name": "sgd", "optimizer.learning_rate": 1e-12}
    result = train(tiny_config(frozen), digits(), create_run(tmp_path, "adapted"), listener=heard)
    np.testing.assert_allclose(predict_images(result.model, digits().images), expected, atol=1e-4)
    assert "scaled to 0 … 1" in heard.notices[0]
    wrong = train(tiny_config({**frozen, "model.init_scale": 1.0}), digits(), create_run(tmp_path, "as-told"))
    assert np.abs(predict_images(wrong.model, digits().images) - expected).max() > 0.01
