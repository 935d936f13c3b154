"""The statistics of batch normalisation with which networks are validated and kept, after few steps and many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from late import Late
from mnist_cnn.datasets import load_dataset
from training.tiny import digits, train_tiny

keras, architectures = Late("keras"), Late("mnist_cnn.models.architectures")
statistics, predictions = Late("mnist_cnn.training.batch_statistics"), Late("mnist_cnn.evaluation.predictions")
fused_batchnorm = Late("mnist_cnn.training.fused_batchnorm")

FEW_STEPS: dict[str, Any] = {
    "model.architecture": "light",
    "model.arguments": {"filters": [16, 32, 32, 32]},
    "optimizer.learning_rate": 5e-3,
    "training.epochs": 1,
    "training.batch_size": 64,
    "training.keep": "last",
}


def normalisations(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize("fused", [False, True])
def test_the_statistics_are_those_of_the_images(fused: bool) -> None:
    model = architectures.build_model("vgg", {"filters": [4, 6], "depth": 1}, 10, seed=3)
    if fused:
        fused_batchnorm.fuse_batchnorm(model)
    images = digits(200).images[..., np.newaxis]
    statistics.measure_statistics(model, images)
    before_first = keras.Model(model.input, normalisations(model)[0].input)
    values = keras.ops.convert_to_numpy(before_first(images)).astype(np.float64)
    mean, variance = (np.asarray(weights) for weights in normalisations(model)[0].get_weights()[2:])
    np.testing.assert_allclose(mean, values.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(variance, values.var(axis=(0, 1, 2)), rtol=2e-3)
    # With them the network does to these images in use what it does to them in training (dropout comes later).
    last = keras.Model(model.input, normalisations(model)[-1].output)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(last(images)), keras.ops.convert_to_numpy(last(images, training=True)), atol=1e-3
    )


def test_the_momentum_is_as_before_and_frozen_layers_keep_what_they_know() -> None:
    model = architectures.build_model("vgg", {"filters": [4, 6], "depth": 1}, 10, seed=3)
    frozen, trained = normalisations(model)
    frozen.trainable = False
    momentum, known = trained.momentum, frozen.get_weights()
    statistics.measure_statistics(model, digits(50).images[..., np.newaxis])
    assert trained.momentum == frozen.momentum == momentum
    for before, after in zip(known, frozen.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert np.abs(trained.get_weights()[2]).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize(("validation", "ema"), [(0.0, 0.0), (0.2, 0.3)])
def test_after_few_steps_a_network_is_validated_and_kept_by_what_it_learnt(
    tmp_path: Path, validation: float, ema: float
) -> None:
    settings = {**FEW_STEPS, "data.validation": validation, "optimizer.ema": ema}
    done = train_tiny(tmp_path, settings, load_dataset("digits").subset(np.arange(1000)))
    unseen = load_dataset("digits", split="test")
    accuracy = float(
        (predictions.predict_images(done.result.model, unseen.images).argmax(axis=1) == unseen.labels).mean()
    )
    assert accuracy > 0.8, "moving averages that start at 0 and 1 give 0.45 to 0.7 in most of these cases"
    if validation:
        assert done.column("val_accuracy")[-1] == pytest.approx(accuracy, abs=0.07)
