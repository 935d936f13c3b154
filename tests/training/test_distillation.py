"""Learning from a teacher: the loss against a slow reference, and what the network and the teacher see."""

from __future__ import annotations

import shutil
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
from mnist_cnn.training.distillation import DistillationLoss, Teacher
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


@pytest.mark.parametrize("architecture", ["batchnorm", "columns", "resnet"])
def test_a_teacher_answers_like_the_network_that_it_is_made_of(architecture: str) -> None:
    members = [with_random_weights(build_model(architecture, TINY[architecture], 10)) for _ in range(2)]
    model = average_models(members)
    weights = model.get_weights()
    images, labels = digits().images[..., np.newaxis], np.eye(10, dtype=np.float32)[digits().labels]
    expected = np.asarray(model(images))
    for precision, tolerance in (("float32", 1e-5), (automatic_precision(), 0.02)):
        answers = Teacher(model, precision).add_to(labels, images)[:, 1]
        np.testing.assert_allclose(answers, expected, atol=tolerance)
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


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
