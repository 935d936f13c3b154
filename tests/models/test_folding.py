"""Networks without their batch normalisations, compared with the networks that they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from export.networks import with_random_weights
from mnist_cnn.errors import SettingError
from models.test_architectures import TINY, build_model, images

if TYPE_CHECKING:
    import keras


def as_saved(model: keras.Model, fold: bool) -> keras.Model:
    from mnist_cnn.models.folding import as_saved

    return as_saved(model, fold)


def fold(model: keras.Model) -> keras.Model:
    from mnist_cnn.models.folding import fold_batchnorm

    folded = fold_batchnorm(model)
    np.testing.assert_allclose(np.asarray(folded(images())), np.asarray(model(images())), atol=1e-5)
    return folded


def normalisations(model: keras.Model) -> list[str]:
    import keras

    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


# In the others, a layer lies between, or nothing is normalised.
FOLDABLE = ("columns", "light", "resnet", "separable", "vgg")


@pytest.mark.parametrize("architecture", FOLDABLE)
def test_a_folded_network_answers_like_the_original(architecture: str) -> None:
    model = with_random_weights(build_model(architecture, TINY[architecture], 10))
    before = model.get_weights()
    folded = fold(model)
    assert not normalisations(folded)
    assert folded.count_params() < model.count_params()
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize("architecture", sorted(set(TINY) - set(FOLDABLE)))
def test_networks_without_anything_to_fold_are_refused(architecture: str) -> None:
    with pytest.raises(
        SettingError, match=rf"fold = true requires .*, which {architecture} does not have. Use fold = false"
    ):
        as_saved(build_model(architecture, TINY[architecture], 10), fold=True)


def network(layers: Any, after: Any) -> keras.Model:
    """A convolution, what comes after it, and a dense layer."""
    import keras

    image = keras.Input((28, 28, 1), name="image")
    x = after(layers, layers.Conv2D(3, 5, strides=4)(image))
    output = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    return with_random_weights(keras.Model(image, output))


def test_biases_and_multiplied_channels_are_folded() -> None:
    import keras

    def after(layers: Any, x: Any) -> Any:
        x = layers.BatchNormalization(scale=False)(x)
        return layers.BatchNormalization(center=False)(layers.DepthwiseConv2D(3, depth_multiplier=2)(x))

    assert not normalisations(fold(network(keras.layers, after)))


def test_only_what_directly_follows_a_convolution_that_nothing_else_reads_is_folded() -> None:
    import keras

    def read_twice(layers: Any, x: Any) -> Any:
        return layers.Add()([x, layers.BatchNormalization()(x)])

    def activated(layers: Any, x: Any) -> Any:
        return layers.BatchNormalization()(layers.ReLU()(x))

    def along_rows(layers: Any, x: Any) -> Any:
        return layers.BatchNormalization(axis=1)(x)

    def read_by_an_operation(layers: Any, x: Any) -> Any:
        return keras.ops.add(x, layers.BatchNormalization()(x))

    for after in (read_twice, activated, along_rows, read_by_an_operation):
        with pytest.raises(SettingError, match=r"which functional.* does not have"):
            as_saved(network(keras.layers, after), fold=True)


def test_a_convolution_that_is_called_twice_is_folded_into_two() -> None:
    import keras

    shared = keras.layers.Conv2D(3, 3, padding="same")

    def after(layers: Any, x: Any) -> Any:
        x = layers.BatchNormalization()(shared(x))
        return layers.BatchNormalization()(shared(x))

    model = network(keras.layers, after)
    folded = fold(model)
    assert not normalisations(folded)
    assert len(model.layers) == len(folded.layers) + 1  # two normalisations less, one convolution more
