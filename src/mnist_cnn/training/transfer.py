"""Transfer learning: start from a trained network, for other data or other classes."""

from __future__ import annotations

from mnist_cnn.backend import keras, layers
from mnist_cnn.config import ModelConfig
from mnist_cnn.errors import ModelFileError

_FLATTENING = (layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


def adapt_model(source: keras.Model, classes: int, config: ModelConfig, seed: int) -> keras.Model:
    """Make a trained network ready for another data set.

    The output layer is kept where the number of classes is the same, and drawn anew where it is not.

    Args:
        source: A model of this package; it shares its layers with the result.
        classes: Number of outputs wanted.
        config: `freeze = "features"` leaves every layer before the flattening as it is.
        seed: Fixes a new output layer's weights.

    Raises:
        InputError: There is nothing to freeze.
    """
    keras.utils.set_random_seed(seed)
    model = source
    if source.output_shape[-1] != classes:
        head = layers.Dense(classes, activation="softmax", dtype="float32", name=source.layers[-1].name)
        model = keras.Model(source.inputs, head(source.layers[-1].input), name=source.name)
    frozen = _features(model) if config.freeze == "features" else []
    for layer in model.layers:
        layer.trainable = layer not in frozen  # a source that was itself trained with frozen layers says so in its file
    return model


def _features(model: keras.Model) -> list[keras.layers.Layer]:
    for index, layer in enumerate(model.layers):
        if isinstance(layer, _FLATTENING):
            return list(model.layers[:index])
    raise ModelFileError(
        f"{model.name} has no flattening or global pooling layer, so its features cannot be told from its "
        "classifier. Use freeze = 'nothing'."
    )
