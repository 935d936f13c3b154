"""Keras models of other makers, rebuilt so that they take raw grey levels [n, 28, 28, 1] and give probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.models.backend import keras, layers
from mnist_cnn.reading import IMAGE_SIZE, LAYOUTS

if TYPE_CHECKING:
    from mnist_cnn.reading.scaling import Scaling

IMAGE_SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 1)
# Shapes of one image that are read, without the batch: all hold the same numbers in the same order.
READ_SHAPES = LAYOUTS
_SCALING_LAYER = "grey_levels"  # the name of the layer that brings grey levels into a stranger's range
_SMALL_FACTOR = 1 / 50  # of a Rescaling: a larger one expects no grey levels up to 255
# What an output layer gives before or instead of a softmax, by the name of its activation.
_BEFORE_SOFTMAX = {
    "linear": "scores before a softmax",
    "log_softmax": "logarithms of probabilities",
    "sigmoid": "a probability for each class by itself, whose sum is not 1",
}
_BEFORE_SCALING = (  # layers that leave grey levels as they are, but for distortions while training
    layers.InputLayer, layers.Reshape, layers.Flatten, layers.Identity, layers.Permute, layers.ZeroPadding2D,
    layers.RandomFlip, layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom,
)  # fmt: skip


def takes_grey_levels(model: keras.Model) -> bool:
    """Whether a model says that it takes 0 … 255: by its first layer, a `Rescaling`, or by an integer input."""
    first = next((layer for layer in _unnested(model) if not isinstance(layer, _BEFORE_SCALING)), None)
    if isinstance(first, layers.Rescaling):
        return first.name == _SCALING_LAYER or float(np.max(np.abs(first.scale))) <= _SMALL_FACTOR
    return not keras.backend.standardize_dtype(model.inputs[0].dtype).startswith(("float", "bfloat"))


def rebuild(model: keras.Model, scaling: Scaling | None = None) -> keras.Model:
    """Make a model of the same layers and weights that takes float32 [n, 28, 28, 1], any n.

    The layers of models inside it become its own, so that whoever looks for a kind of layer finds it.

    Args:
        model: A Functional or Sequential model whose image has one of `READ_SHAPES`.
        scaling: By which its layers want grey levels; None to leave this to the caller.
    """
    shape = tuple(model.input_shape[1:])
    image = keras.Input(IMAGE_SHAPE, name="image")
    x = image
    if scaling:
        x = layers.Rescaling(scaling.factor, scaling.offset, name=_SCALING_LAYER)(x)
    if shape != IMAGE_SHAPE:
        x = layers.Reshape(shape, name=f"{_SCALING_LAYER}_reshaped")(x)
    # `call` instead of `model(x)`, so that the layers become this model's own and not those of a model inside it.
    joined = keras.Model(image, model.call(x), name=model.name)
    while _is_nested(joined):  # each time, one level is opened
        joined = _copied(joined)
    return _copied(joined)  # whose layers have one place each, this one


def _copied(model: keras.Model) -> keras.Model:
    """Copy a functional model; the layers of models directly inside it become the copy's own."""
    names = {layer.name for layer in model.layers}
    pairs: list[tuple[Any, Any]] = []

    def copy(operation: Any) -> Any:
        if type(operation).__name__ == "ConvertToTensor":  # which `call` adds, and which no format can hold
            return lambda x, **_: x
        made = type(operation).from_config(operation.get_config())
        if isinstance(made, keras.Model):
            _rename(made, names)
        pairs.append((operation, made))
        return made

    copied = keras.models.clone_model(model, clone_function=copy, call_function=_call)
    # Pair by pair, since the order of all weights is another one where models inside are opened.
    for original, made in pairs:
        if isinstance(original, layers.Layer):
            made.set_weights(original.get_weights())
    return copied


def _call(layer: Any, *inputs: Any, **options: Any) -> Any:
    return layer.call(*inputs, **options) if isinstance(layer, keras.Model) else layer(*inputs, **options)


def _rename(inner: keras.Model, names: set[str]) -> None:
    """Give the layers of a model inside another one names that are not taken yet, and take them."""
    for layer in inner.layers:
        if layer.name in names:
            layer.name = f"{inner.name}_{layer.name}"
        while layer.name in names:
            layer.name += "_"
        names.add(layer.name)


def _is_nested(model: keras.Model) -> bool:
    return any(isinstance(layer, keras.Model) for layer in model.layers)


def give_probabilities(model: keras.Model) -> str:
    """Replace the activation of an output layer that stops before the softmax.

    A sigmoid becomes a softmax of the same scores too: given that exactly one class is right, that is what the
    classes' probabilities say, p / (1 - p) for each, divided by their sum.

    Args:
        model: As `rebuild` makes it and never called; changed in place.

    Returns:
        What was changed, for people; empty where nothing was.
    """
    kind = _last_activation(model)
    if kind not in _BEFORE_SOFTMAX:
        return ""
    _last_layer(model).activation = keras.activations.softmax
    return f"the model gives {_BEFORE_SOFTMAX[kind]}; a softmax makes probabilities of them."


def fits(model: keras.Model) -> bool:
    """Whether a model takes [n, 28, 28, 1], any n, gives probabilities, and has no models inside: nothing is to do."""
    takes_images = model.input_shape == (None, *IMAGE_SHAPE)
    return takes_images and _last_activation(model) not in _BEFORE_SOFTMAX and not _is_nested(model)


def _last_activation(model: keras.Model) -> str:
    return str(getattr(getattr(_last_layer(model), "activation", None), "__name__", ""))


def _last_layer(model: keras.Model) -> Any:
    last = model.layers[-1]
    return _last_layer(last) if isinstance(last, keras.Model) else last


def _unnested(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _unnested(layer)
        else:
            yield layer
