"""Transfer learning: start from a trained network, for other data or other classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from mnist_cnn.config import ModelConfig
from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.errors import ModelFileError
from mnist_cnn.models.backend import keras, layers
from mnist_cnn.models.persistence import draw_known_digits, read_model
from mnist_cnn.reading.conventions import ENSEMBLE_NAME
from mnist_cnn.reading.scaling import KnownDigits, bundled_digits

_FLATTENING = (layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


def open_start(config: ModelConfig, dataset: Dataset, note: Callable[[str], None]) -> keras.Model:
    """Open the trained network that a run starts from, adapted to grey levels [n, 28, 28, 1].

    Args:
        config: Names it.
        dataset: The training split; if its classes are the digits, they show what input range a third-party model
            expects.
        note: Receives how the network was adapted.

    Raises:
        ModelFileError: There is no such model, or it cannot be used.
        SettingError: A scale is given for a network that declares its own.
    """
    opened = read_model(Path(config.init_from), scale=config.init_scale or None, known=partial(_known_digits, dataset))
    for remark in opened.adoption.remarks:
        note(f"{config.init_from}: {remark}")
    return opened.model


def _known_digits(dataset: Dataset, classes: int) -> KnownDigits:
    numbered = dataset.numbered_for(classes)
    return draw_known_digits(numbered, classes) if numbered.class_names == DIGIT_NAMES else bundled_digits(classes)


def adapt_model(source: keras.Model, classes: int, config: ModelConfig, seed: int) -> keras.Model:
    """Adapt a trained network to another data set.

    The output layer is kept if the number of classes is the same. Otherwise it is replaced, with a layer of activation
    that may follow it.

    Args:
        source: A model of this package; it shares its layers with the result.
        classes: Number of outputs.
        config: `freeze = "features"` freezes every layer before the flattening.
        seed: Of the weights of a new output layer.

    Raises:
        ModelFileError: It is an ensemble, or there is nothing to freeze.
    """
    if source.name == ENSEMBLE_NAME:
        raise ModelFileError(
            "an ensemble is an average of networks, and training cannot start from it. Start from one of its members, "
            "or train one network on its answers with: mnist-cnn distill"
        )
    keras.utils.set_random_seed(seed)
    model = source
    if source.output_shape[-1] != classes:
        last = next(layer for layer in reversed(source.layers) if layer.weights)  # a softmax may follow as a layer
        if len(last.input.shape) != 2:  # class maps that are pooled, or a network within the network
            last = source.layers[-1]
        head = layers.Dense(classes, activation="softmax", dtype="float32", name=last.name)
        model = keras.Model(source.inputs[0], head(last.input), name=source.name)
    frozen = _features(model) if config.freeze == "features" else []
    for layer in model.layers:
        layer.trainable = layer not in frozen  # the source may have been trained with frozen layers
    return model


def _features(model: keras.Model) -> list[keras.layers.Layer]:
    for index, layer in enumerate(model.layers):
        if isinstance(layer, _FLATTENING):
            return list(model.layers[:index])
    raise ModelFileError(
        f"{model.name} has no flattening or global pooling layer that separates its features from its "
        "classifier. Use freeze = 'nothing'."
    )
