"""Networks to export: trained for a moment, or with weights drawn at random, normalisation statistics included."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray


def with_random_weights(model: keras.Model, seed: int = 0) -> keras.Model:
    """Draw every weight, so that none is as it begins: no bias 0, no moving mean 0, no variance 1."""
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


def tiny_network(classes: int = 10) -> keras.Model:
    """Build a network with both kinds of normalisation: melted into a convolution, and after an activation."""
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
    """Ask the Keras model, float32 [n, 28, 28, 1]."""
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))
