"""Learning from a teacher: the loss against a slow reference, and what the network and the teacher see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.networks import with_random_weights
from mnist_cnn.config import AugmentationConfig, override
from mnist_cnn.errors import InputError
from mnist_cnn.models.averaging import average_models
from mnist_cnn.models.backend import keras
from mnist_cnn.runs import RunFolder, create_run
from mnist_cnn.training.batches import Batches
from mnist_cnn.training.distillation import DistillationLoss, Teacher, open_teacher, quick_copy
from mnist_cnn.training.precision import automatic_precision
from mnist_cnn.training.trainer import train
from models.test_architectures import TINY, build_model
from training.tiny import Trained, digits, tiny_config, train_tiny


def soften(probabilities: np.ndarray[Any, Any], temperature: float) -> np.ndarray[Any, Any]:
    powers = probabilities ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def test_the_loss_is_that_of_hinton_vinyals_and_dean() -> None:
    random = np.random.default_rng(0)
    labels = np.eye(4)[[0, 3, 1]]
    teacher, network = random.dirichlet(np.ones(4), (2, 3))
    hard = -np.log((labels * network).sum(axis=1))
    for temperature, weight in ((1.0, 0.5), (4.0, 0.9), (20.0, 1.0)):
        soft_teacher, soft_network = soften(teacher, temperature), soften(network, temperature)
        divergence = (soft_teacher * np.log(soft_teacher / soft_network)).sum(axis=1)
        expected = (1 - weight) * hard + weight * temperature**2 * divergence
        loss = DistillationLoss(temperature, weight)
        targets = np.stack([labels, teacher], axis=1).astype(np.float32)
        answer = loss.call(keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(network.astype("float32")))
        np.testing.assert_allclose(np.asarray(answer), expected, rtol=1e-4)


def test_certain_answers_give_a_finite_loss_and_gradient() -> None:
    tf = pytest.importorskip("tensorflow")
    scores = tf.Variable([[200.0, -200.0], [-200.0, 200.0]])
    targets = np.array([[[1, 0], [1, 0]], [[1, 0], [1, 0]]], np.float32)
    with tf.GradientTape() as tape:
        loss = DistillationLoss(4.0, 0.9)(targets, tf.nn.softmax(scores))
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, scores)).all()


def test_the_teacher_sees_the_images_that_the_network_sees(trained: Trained) -> None:
    data = digits(60)
    model = trained.result.model
    batches = Batches(
        data.images, np.eye(10, dtype=np.float32)[data.labels], 16, AugmentationConfig(rotation=20.0), seed=1,
        outliers=0.3, teacher=Teacher(model),
    )  # fmt: skip
    plain = replace(batches, teacher=None)
    for (images, targets), (same, labels) in zip(batches.epoch(2), plain.epoch(2), strict=True):
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(targets[:, 0], labels)
        is_outlier = labels.max(axis=1) < 0.5
        np.testing.assert_allclose(targets[is_outlier, 1], 0.1, atol=1e-6)
        expected = np.asarray(model(images[~is_outlier]))
        np.testing.assert_allclose(targets[~is_outlier, 1], expected, atol=1e-5)


def third_party(middle: Callable[[Any], Any]) -> keras.Model:
    image = keras.Input((28, 28, 1))
    x = middle(keras.layers.Rescaling(1 / 255)(image))
    return with_random_weights(
        keras.Model(image, keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(x)))
    )


def normalised() -> keras.Model:
    layer = keras.layers.Normalization(axis=None)
    model = third_party(layer)
    layer.adapt(np.linspace(0.2, 0.9, 2 * 784).reshape(2, 28, 28, 1))
    return model


def read_twice(x: Any) -> Any:
    x = keras.layers.Conv2D(4, 5, strides=3)(x)
    return keras.ops.add(x, keras.layers.BatchNormalization()(x))


def class_maps(x: Any) -> Any:
    return keras.layers.BatchNormalization()(keras.layers.Conv2D(10, 5, strides=3, activation="softmax")(x))


def read_nothing(x: Any) -> Any:
    return keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 5, strides=3)(x))


TEACHERS: dict[str, Callable[[], keras.Model]] = {
    "average": lambda: average_models(
        [with_random_weights(build_model("columns", TINY["columns"], 10), seed) for seed in (0, 1)]
    ),
    "resnet": lambda: with_random_weights(build_model("resnet", TINY["resnet"], 10)),
    "normalised": normalised,
    "read twice": lambda: third_party(read_twice),
    "class maps": lambda: third_party(class_maps),
    "sequential": lambda: keras.Sequential(third_party(read_nothing).layers),
}


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", TEACHERS)
def test_a_quick_copy_answers_like_the_network(name: str, precision: str) -> None:
    if precision != "float32" and automatic_precision() != precision:
        pytest.skip("this processor does not multiply bfloat16, in which convolutions may fail")
    model = TEACHERS[name]()
    images = digits().images[..., np.newaxis]
    expected, weights = np.asarray(model(images)), model.get_weights()
    copy = quick_copy(model, precision)
    tolerance = 1e-5 if precision == "float32" else 0.02 * expected.max(axis=1, keepdims=True)
    assert (np.abs(np.asarray(copy(images)) - expected) <= tolerance).all()
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_quick_copy_folds_and_lowers_the_precision_of_convolutions_but_not_of_answers() -> None:
    layers = quick_copy(TEACHERS["average"](), "mixed_bfloat16").layers
    assert not [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    policies = {type(layer).__name__: layer.dtype_policy.name for layer in layers}
    assert policies["Conv2D"] == policies["ReLU"] == "mixed_bfloat16"
    assert policies["Dense"] == policies["Average"] == "float32"


def test_the_teacher_answers_in_the_precision_of_training(trained: Trained) -> None:
    config = override(tiny_config(DISTILLED), {"distillation.teacher": str(trained.run.root)})
    images, labels = digits().images[..., np.newaxis], np.eye(10, dtype=np.float32)[digits().labels]
    for precision in {"float32", automatic_precision()}:
        teacher = open_teacher(config, digits(), precision, lambda _: None)
        assert teacher
        expected = quick_copy(trained.result.model, precision).predict_on_batch(images)
        np.testing.assert_allclose(teacher.add_to(labels, images)[:, 1], expected, atol=1e-6)


DISTILLED = {"training.loss": "one-hot", "augmentation.rotation": 5.0}


@pytest.mark.slow
def test_a_distilled_run_is_an_ordinary_run_and_resumes(trained: Trained, tmp_path: Path) -> None:
    teacher = shutil.copytree(trained.run.root, tmp_path / "teacher")
    settings = {**DISTILLED, "distillation.teacher": str(teacher), "training.epochs": 2}
    whole = train_tiny(tmp_path, {**settings, "training.deterministic": True}).run
    assert whole.finished
    assert "val_loss" in whole.read_json(whole.history_json)[0]
    assert len(whole.read_json(whole.environment)["teacher_sha256"]) == 64

    config, run = tiny_config(settings), create_run(tmp_path, "resumed")
    stop_after_one(config, run)
    assert not run.finished
    (teacher / "model.keras").rename(teacher / "kept.keras")
    shutil.copy(trained.run.best_checkpoint, teacher / "model.keras")
    with (teacher / "model.keras").open("ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match="another model than the one with which this run was started"):
        train(config, digits(), run)
    (teacher / "kept.keras").replace(teacher / "model.keras")
    assert train(config, digits(), run).epochs == 2


def stop_after_one(config: Any, run: RunFolder) -> None:
    """Train one epoch and leave the run as a killed process does."""

    class Dies(Exception):  # noqa: N818
        pass

    class Killer:
        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

        def on_epoch(self, *_: Any) -> None:
            raise Dies

    with pytest.raises(Dies):
        train(config, digits(), run, listener=Killer())  # type: ignore[arg-type]


def test_what_cannot_be_learnt_from_is_refused(trained: Trained, tmp_path: Path) -> None:
    teacher = {**DISTILLED, "distillation.teacher": str(trained.run.root)}
    few = digits().subset(np.flatnonzero(digits().labels < 4))
    few = replace(few, class_names=few.class_names[:4])
    with pytest.raises(InputError, match="has 10 classes, but digits has 4"):
        train_tiny(tmp_path, teacher, few)
    with pytest.raises(InputError, match="can be held out to validate this run"):
        train_tiny(tmp_path, {**teacher, "data.split_seed": 5})
    with pytest.raises(InputError, match=r"needs one-hot labels. Use loss = 'one-hot'"):
        tiny_config({"distillation.teacher": "digits"})
    with pytest.raises(InputError, match="an ensemble of 2 runs, which is averaged and not trained"):
        train_tiny(tmp_path, {"model.average": ["a", "b"]})
    with pytest.raises(InputError, match="there is no model"):
        train_tiny(tmp_path, {**DISTILLED, "distillation.teacher": str(tmp_path / "none")})
    assert override(tiny_config(), teacher).distillation.weight == 0.9
