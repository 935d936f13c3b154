from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from late import Late
from mnist_cnn.config import ModelConfig
from mnist_cnn.datasets import Dataset
from mnist_cnn.errors import InputError
from mnist_cnn.runs import RunFolder, create_run
from training.tiny import Trained, digits, tiny_config, train_tiny

keras, architectures, persistence = (
    Late(name) for name in ("keras", "mnist_cnn.models.architectures", "mnist_cnn.models.persistence")
)
records, trainer, transfer = (Late(f"mnist_cnn.training.{name}") for name in ("records", "trainer", "transfer"))
predictions = Late("mnist_cnn.evaluation.predictions")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run with ten classes, batch normalisation and dropout."""
    arguments = {"filters": [4, 8], "dense": 16, "dropout": 0.3}
    settings = {"model.architecture": "batchnorm", "model.arguments": arguments}
    return train_tiny(tmp_path_factory.mktemp("runs"), settings).run.root


@pytest.fixture(scope="module")
def five_classes() -> Dataset:
    few = digits().subset(np.flatnonzero(digits().labels < 5))
    return dataclasses.replace(few, class_names=tuple("abcde"))


def adapt(source: Path, data: Dataset, folder: Path, **settings: object) -> Trained:
    """Train one epoch from the weights of `source`."""
    values = {f"model.{key}": value for key, value in settings.items()}
    return train_tiny(folder, {"model.init_from": str(source), "training.epochs": 1, **values}, data)


def features(model: Any) -> list[np.ndarray]:
    flatten = next(i for i, layer in enumerate(model.layers) if isinstance(layer, keras.layers.Flatten))
    return [weights for layer in model.layers[:flatten] for weights in layer.get_weights()]


def test_frozen_features_stay_unchanged_under_a_new_output_layer(
    tmp_path: Path, source: Path, five_classes: Dataset
) -> None:
    done = adapt(source, five_classes, tmp_path, freeze="features")
    model, original = persistence.open_model(done.run.model), persistence.open_model(source)
    assert model.output_shape == (None, 5)
    assert [layer.name for layer in model.layers] == [layer.name for layer in original.layers]
    for ours, theirs in zip(features(model), features(original), strict=True):
        np.testing.assert_array_equal(ours, theirs)  # including moving statistics
    assert not np.array_equal(model.get_layer("dense").get_weights()[0], original.get_layer("dense").get_weights()[0])
    learnt = sum(int(np.prod(weights.shape)) for weights in done.result.model.trainable_weights)
    assert learnt == (14 * 14 * 8 + 1) * 16 + (16 + 1) * 5
    assert len(done.run.read_json(done.run.environment)["init_from_sha256"]) == 64


def test_without_freezing_everything_learns_and_the_head_start_shows(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, read = [], persistence.read_model

    def note(path: Path, **how: Any) -> Any:
        opened.append(path)
        return read(path, **how)

    monkeypatch.setattr("mnist_cnn.training.transfer.read_model", note)
    done = adapt(source, digits(), tmp_path)
    assert opened == [source], "the file is opened once"
    for ours, theirs in zip(features(done.result.model), features(persistence.open_model(source)), strict=True):
        assert not np.array_equal(ours, theirs)
    before = RunFolder(source)
    assert done.column("loss")[0] < 0.8 * before.read_json(before.history_json)[0]["loss"]
    assert done.result.model.output_shape == (None, 10)


def test_layers_frozen_in_the_source_learn_again_and_the_output_layer_is_kept(source: Path) -> None:
    original = persistence.open_model(source)
    count, weights = len(original.trainable_weights), original.get_weights()
    frozen = transfer.adapt_model(original, 10, ModelConfig(init_from="x", freeze="features"), seed=0)
    assert len(frozen.trainable_weights) == 4
    thawed = transfer.adapt_model(frozen, 10, ModelConfig(init_from="x"), seed=0)
    assert len(thawed.trainable_weights) == count > 4
    for ours, theirs in zip(thawed.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_seed_fixes_a_transfer_whatever_was_drawn_before(source: Path, five_classes: Dataset) -> None:
    drawn = []
    for noise in (1, 2):
        keras.utils.set_random_seed(noise)
        model = trainer.new_model(tiny_config({"model.init_from": str(source)}), five_classes, precision="float32")
        drawn.append([keras.ops.convert_to_numpy(variable) for variable in model.variables])
    for first, second in zip(*drawn, strict=True):
        np.testing.assert_array_equal(first, second)  # the new layer, and the generators of dropout


def test_a_network_without_a_flattening_cannot_be_frozen() -> None:
    pixels = keras.Input((28, 28, 1))
    odd = keras.Model(pixels, keras.layers.Dense(10)(keras.layers.Reshape((784,))(pixels)), name="odd")
    with pytest.raises(InputError, match=r"odd has no flattening .*freeze = 'nothing'"):
        transfer.adapt_model(odd, 10, ModelConfig(init_from="x", freeze="features"), seed=0)


def test_a_new_output_layer_replaces_the_old_one_and_the_softmax_after_it() -> None:
    layers = keras.layers
    source = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(128, name="hidden"),
            layers.Dense(10),
            layers.Softmax(),
        ]
    )
    model = transfer.adapt_model(source, 26, ModelConfig(init_from="x"), seed=0)
    assert [weights.shape for weights in model.get_layer("hidden").weights] == [(784, 128), (128,)]
    assert [tuple(weights.shape) for weights in model.layers[-1].weights] == [(128, 26), (26,)]


def test_pooled_class_maps_get_an_output_layer() -> None:
    layers = keras.layers
    maps = [keras.Input((28, 28, 1)), layers.Conv2D(10, 1, strides=9), layers.GlobalAveragePooling2D()]
    source = keras.Sequential([*maps, layers.Softmax()])
    assert transfer.adapt_model(source, 26, ModelConfig(init_from="x"), seed=0).output_shape == (None, 26)


def test_features_end_at_global_pooling_too() -> None:
    source = architectures.build_model("vgg", {"filters": [4, 8]}, 10)
    model = transfer.adapt_model(source, 3, ModelConfig(init_from="x", freeze="features"), seed=0)
    assert {weights.path.split("/")[0] for weights in model.trainable_weights} == {"dense"}


def mirrored(label: int) -> np.ndarray:
    """Digits as the very young write some of them."""
    return np.ascontiguousarray(digits().images[digits().labels == label][:, :, ::-1])


def share_read_as(label: int, model: Any, images: np.ndarray) -> float:
    return float((predictions.predict_images(model, images).argmax(axis=1) == label).mean())


@pytest.fixture
def own_sevens(tmp_path: Path) -> Path:
    """Five images of one class, mirrored."""
    folder = tmp_path / "mine" / "7"
    folder.mkdir(parents=True)
    for index, image in enumerate(mirrored(7)[:5]):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder.parent


@pytest.mark.slow
def test_added_images_of_one_class_are_learnt_without_forgetting_the_others(tmp_path: Path, own_sevens: Path) -> None:
    settings = {"model.init_from": "digits", "data.add": str(own_sevens), "optimizer.learning_rate": 1e-3}
    _, run, result, _ = train_tiny(tmp_path, settings)
    assert share_read_as(7, persistence.open_model(Path("digits")), mirrored(7)[5:]) < 0.5
    assert share_read_as(7, result.model, mirrored(7)[5:]) > 0.6
    read = predictions.predict_images(result.model, digits().images).argmax(axis=1)
    assert (read == digits().labels).mean() > 0.95
    recorded = run.read_json(run.environment)
    assert (recorded["data"]["images"], recorded["added"]["images"]) == (300, 5)
    assert "5 images from" in run.log.read_text("utf-8")
    file = persistence.model_file(Path("digits"))
    assert recorded["init_from_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_added_images_are_never_held_out(own_sevens: Path) -> None:
    config = tiny_config({"data.add": str(own_sevens), "data.add_share": 0.5})
    plain, held_out = trainer.prepare_data(tiny_config(), digits(), None)
    batches, same = trainer.prepare_data(config, digits(), trainer.find_addition(config, digits()))
    np.testing.assert_array_equal(same[0], held_out[0])
    np.testing.assert_array_equal(batches.images[: len(plain.images)], plain.images)
    assert len(batches.images) == 2 * len(plain.images)
    assert set(batches.targets[len(plain.images) :].tolist()) == {7}


def test_resuming_with_other_added_images_is_refused(tmp_path: Path, own_sevens: Path) -> None:
    config = tiny_config({"data.add": str(own_sevens)})
    run = create_run(tmp_path, "adapted")
    records.record_start(config, digits(), trainer.find_addition(config, digits()), run, "float32")
    (own_sevens / "7" / "0.png").unlink()
    with pytest.raises(InputError, match=r"started with other training data .*Restore the data at .*mine"):
        records.record_start(config, digits(), trainer.find_addition(config, digits()), run, "float32")


@pytest.mark.slow
def test_another_project_s_network_gets_its_input_range_and_that_is_reported(tmp_path: Path) -> None:
    inner = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    theirs = keras.Sequential(inner)
    theirs.compile("adam", "sparse_categorical_crossentropy")
    theirs.fit(digits().images / 255.0, digits().labels, epochs=15, verbose=0)
    theirs.save(tmp_path / "theirs.keras")
    expected = theirs.predict(digits().images / 255.0, verbose=0)

    frozen = {"model.init_from": str(tmp_path / "theirs.keras"), "training.epochs": 1}
    frozen |= {"optimizer.name": "sgd", "optimizer.learning_rate": 1e-12}
    done = train_tiny(tmp_path, frozen)
    np.testing.assert_allclose(predictions.predict_images(done.result.model, digits().images), expected, atol=1e-4)
    assert "scaled to 0 … 1" in done.heard.notices[0]
    wrong = train_tiny(tmp_path, {**frozen, "model.init_scale": 1.0}).result.model
    assert np.abs(predictions.predict_images(wrong, digits().images) - expected).max() > 0.01
