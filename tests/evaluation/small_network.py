"""A network with a branch, and a history as training leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

HISTORY = [
    {"epoch": epoch, "loss": 1 / epoch, "accuracy": 1 - 0.1 / epoch, "val_loss": 1 / epoch, "val_accuracy": 0.9,
     "learning_rate": 0.001, "seconds": 1.5}
    for epoch in (1, 2, 3)
]  # fmt: skip


def build_network() -> keras.Model:
    from mnist_cnn.models.backend import keras

    keras.utils.set_random_seed(3)
    pixels = keras.Input((28, 28, 1))
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    features = keras.layers.Conv2D(4, 5, strides=2, activation="relu", name="first")(scaled)
    branch = keras.layers.Conv2D(4, 3, padding="same", name="branch")(features)
    merged = keras.layers.Add(name="merged")([features, branch])
    flat = keras.layers.Flatten()(merged)
    return keras.Model(pixels, keras.layers.Dense(10, activation="softmax", name="answer")(flat))
