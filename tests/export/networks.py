"""Networks to export: trained briefly, or with random weights, including the statistics of normalisations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray


def with_random_weights(model: keras.Model, seed: int = 0) -> keras.Model:
    """Draw all weights, so that none has its initial value: no bias 0, no moving mean 0, no variance 1."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if "variance" in variable.path or "gamma" in variable.path:
            variable.assign(generator.uniform(0.5, 2, shape))
        elif "kernel" in variable.path:
            variable.assign(generator.normal(0, np.sqrt(1 / np.prod(shape[:-1])), shape))
        elif "seed" not in variable.path:
            variable.assign(generator.normal(0, 0.2, shape))
    return model


def network(*stack: Any, classes: int = 5) -> keras.Model:
    """Stack layers on the image and add an output layer; all weights are random."""
    import keras

    image = x = keras.Input((28, 28, 1))
    for layer in stack:
        x = layer(x)
    x = keras.layers.Flatten()(x) if len(x.shape) > 2 else x
    return with_random_weights(keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x)))


def tiny_network(classes: int = 10) -> keras.Model:
    """Build a network with both kinds of normalisation: after a convolution, and after an activation."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)  # (B, 14, 14, 6)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2)(layers.BatchNormalization(momentum=0.8)(x))  # (B, 7, 7, 12)
    x = layers.Dropout(0.1)(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x), name="tiny")


def keras_answers(model: keras.Model, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Keras model's outputs for float32 [n, 28, 28, 1]."""
    import keras

    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))
