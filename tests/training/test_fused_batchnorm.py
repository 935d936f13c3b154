"""The fused operation against Keras' own layer, which is the slow and obvious reference."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from late import Late
from training.tiny import digits

keras, architectures = Late("keras"), Late("mnist_cnn.models.architectures")
fused_batchnorm = Late("mnist_cnn.training.fused_batchnorm")

pytestmark = pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow", reason="only TensorFlow has the fused kernel"
)
NETWORK: dict[str, Any] = {"filters": [4, 6], "dense": 8, "dropout": 0.0}


def build(precision: str = "float32") -> Any:
    model = architectures.build_model("batchnorm", NETWORK, 10, seed=1, precision=precision)
    random = np.random.default_rng(0)
    for layer in normalisations(model):  # no neutral values, so that every one of them is seen to matter
        layer.set_weights([random.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()])
    return model


def normalisations(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def batch(number: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rows = slice(20 * number, 20 * (number + 1))
    return digits().images[rows, ..., np.newaxis], digits().labels[rows]


def pair(precision: str) -> tuple[Any, Any]:
    plain, fused = build(precision), build(precision)
    fused_batchnorm.fuse_batchnorm(fused)
    assert all("call" in vars(layer) for layer in normalisations(fused)), "otherwise nothing is compared"
    return plain, fused


def gradients(model: Any, training: bool) -> list[NDArray[np.float32]]:
    import tensorflow as tf

    images, labels = batch(0)
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(labels, model(images, training=training))
    return [np.asarray(gradient) for gradient in tape.gradient(loss, model.trainable_weights)]


# Mixed bfloat16 has 8 bits of mantissa, and the two round at different places.
TOLERANCES = [("float32", 5e-5), ("mixed_bfloat16", 0.05)]


@pytest.mark.parametrize(("precision", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_keras(precision: str, tolerance: float, training: bool) -> None:
    plain, fused = pair(precision)
    images, _ = batch(0)
    expected = np.asarray(plain(images, training=training))
    before = fused.get_weights()
    np.testing.assert_allclose(fused(images, training=training), expected, atol=tolerance)
    assert training or all(map(np.array_equal, fused.get_weights(), before)), "inference changes no statistics"
    for ours, theirs in zip(gradients(fused, training), gradients(plain, training), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance * max(1.0, float(np.abs(theirs).max())) * 2)


@pytest.mark.parametrize(("precision", "tolerance"), TOLERANCES)
def test_moving_statistics_stay_those_of_keras_over_several_steps(precision: str, tolerance: float) -> None:
    plain, fused = pair(precision)
    before = [layer.get_weights() for layer in normalisations(plain)]
    for step in range(4):
        for model in (plain, fused):
            model(batch(step)[0], training=True)
    for ours, theirs, start in zip(normalisations(fused), normalisations(plain), before, strict=True):
        for index in (2, 3):  # moving mean, moving variance
            after = theirs.get_weights()[index]
            assert np.abs(after - start[index]).max() > 1e-3, "the statistics must have moved"
            np.testing.assert_allclose(ours.get_weights()[index], after, rtol=tolerance, atol=tolerance)


def test_the_variance_is_averaged_as_keras_does_it_though_the_kernel_gives_another() -> None:
    values = np.random.default_rng(0).normal(size=(2, 2, 2, 3)).astype(np.float32)  # n = 8, so n - 1 is far from n
    after = []
    for fuse in (False, True):
        image = keras.Input((2, 2, 3))
        model = keras.Model(image, keras.layers.BatchNormalization(momentum=0.5)(image))
        if fuse:
            fused_batchnorm.fuse_batchnorm(model)
        model(values, training=True)
        after.append(model.layers[1].get_weights())
    np.testing.assert_allclose(after[1][2], after[0][2], atol=1e-6)
    np.testing.assert_allclose(after[1][3], after[0][3], atol=1e-6)


def test_a_frozen_layer_infers_and_learns_nothing() -> None:
    plain, fused = pair("float32")
    for model in (plain, fused):
        for layer in normalisations(model):
            layer.trainable = False
    before, images = fused.get_weights(), batch(0)[0]
    np.testing.assert_allclose(fused(images, training=True), np.asarray(plain(images, training=True)), atol=1e-5)
    assert all(map(np.array_equal, fused.get_weights(), before))


def test_a_fused_model_is_saved_as_a_plain_one(tmp_path: Path) -> None:
    _, fused = pair("float32")
    fused.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in fused.layers]
    assert all("call" not in vars(layer) for layer in normalisations(loaded))
    images, _ = batch(0)
    np.testing.assert_allclose(loaded(images), np.asarray(fused(images)), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [((6, 6, 3), {"axis": 1}), ((6, 6, 3), {"scale": False}), ((6, 6, 3), {"center": False}), ((6,), {})],
)
def test_other_forms_of_the_layer_are_left_to_keras(shape: tuple[int, ...], arguments: dict[str, Any]) -> None:
    inputs = keras.Input(shape)
    model = keras.Model(inputs, keras.layers.BatchNormalization(**arguments)(inputs))
    fused_batchnorm.fuse_batchnorm(model)
    assert "call" not in vars(model.layers[1])
