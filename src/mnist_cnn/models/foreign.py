"""Third-party Keras models, rebuilt so that they take raw grey levels [n, 28, 28, 1] and return probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.models.backend import keras, layers, ops
from mnist_cnn.reading.conventions import IMAGE_SHAPES

if TYPE_CHECKING:
    from mnist_cnn.reading.scaling import Scaling

IMAGE_SHAPE = IMAGE_SHAPES[0]
_SCALING_LAYER = "grey_levels"  # name of the layer that scales grey levels
_SMALL_FACTOR = 1 / 50  # of a Rescaling; a larger factor is not for grey levels up to 255
# What an output layer returns instead of a softmax, by the name of its activation.
_BEFORE_SOFTMAX = {
    "linear": "scores before a softmax",
    "log_softmax": "logarithms of probabilities",
    "sigmoid": "an independent probability of each class, whose sum is not 1",
}
_BEFORE_SCALING = (  # layers that do not change grey levels, except for distortions in training
    layers.InputLayer, layers.Reshape, layers.Flatten, layers.Identity, layers.Permute, layers.ZeroPadding2D,
    layers.RandomFlip, layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom,
)  # fmt: skip


def takes_grey_levels(model: keras.Model) -> bool:
    """Return whether a model declares that it takes 0 to 255, by a `Rescaling` as first layer or an integer input."""
    first = next((layer for layer in _unnested(model) if not isinstance(layer, _BEFORE_SCALING)), None)
    if isinstance(first, layers.Rescaling):
        return first.name.endswith(_SCALING_LAYER) or float(np.max(np.abs(first.scale))) <= _SMALL_FACTOR
    return not keras.backend.standardize_dtype(model.inputs[0].dtype).startswith(("float", "bfloat"))


def rebuild(model: keras.Model, scaling: Scaling | None = None) -> keras.Model:
    """Build a model of the same layers and weights that takes float32 [n, 28, 28, 1], any n.

    The layers of nested models become its own, so that every layer can be found.

    Args:
        model: A Functional or Sequential model whose image has one of `IMAGE_SHAPES`.
        scaling: The range of grey levels that its layers need; None if the caller scales.
    """
    shape = tuple(model.input_shape[1:])
    image = keras.Input(IMAGE_SHAPE, name="image")
    x = image
    if scaling:
        x = layers.Rescaling(scaling.factor, scaling.offset, name=_SCALING_LAYER)(x)
    if shape != IMAGE_SHAPE:
        x = layers.Reshape(shape, name=f"{_SCALING_LAYER}_reshaped")(x)
    # `call` instead of `model(x)`, so that the layers become this model's own and not a nested model's.
    joined = keras.Model(image, model.call(x), name=model.name)
    while _is_nested(joined):  # each copy unpacks one level
        joined = _copied(joined)
    return _copied(joined)  # in which each layer is called in one place only


def _copied(model: keras.Model) -> keras.Model:
    """Copy a functional model; the layers of directly nested models become the copy's own."""
    names = {layer.name for layer in model.layers}
    pairs: list[tuple[Any, Any]] = []

    def copy(operation: Any) -> Any:
        if type(operation).__name__ == "ConvertToTensor":  # `call` adds it, and no format can store it
            return lambda x, **_: x
        config = operation.get_config()
        if isinstance(operation, layers.Normalization) and operation.input_mean is None:
            # As fixed numbers: it computes with copies of its weights, which no `set_weights` renews.
            statistics = {"mean": operation.adapt_mean, "variance": operation.adapt_variance}
            return type(operation).from_config(
                {**config, **{name: ops.convert_to_numpy(value).tolist() for name, value in statistics.items()}}
            )
        made = type(operation).from_config(config)
        if isinstance(made, keras.Model):
            _rename(made, names)
        pairs.append((operation, made))
        return made

    copied = keras.models.clone_model(model, clone_function=copy, call_function=_call)
    # Pair by pair, because unpacking nested models changes the order of all weights.
    for original, made in pairs:
        if isinstance(original, layers.Layer):
            made.set_weights(original.get_weights())
    return copied


def _call(layer: Any, *inputs: Any, **options: Any) -> Any:
    return layer.call(*inputs, **options) if isinstance(layer, keras.Model) else layer(*inputs, **options)


def _rename(inner: keras.Model, names: set[str]) -> None:
    """Rename the layers of a nested model uniquely, and add these to `names`."""
    for layer in inner.layers:
        if layer.name in names:
            layer.name = f"{inner.name}_{layer.name}"
        while layer.name in names:
            layer.name += "_"
        names.add(layer.name)


def _is_nested(model: keras.Model) -> bool:
    return any(isinstance(layer, keras.Model) for layer in model.layers)


def give_probabilities(model: keras.Model) -> str:
    """Add a softmax to an output layer that lacks it.

    A sigmoid becomes a softmax of the same scores: given that exactly one class is right, its probability is
    p / (1 - p), divided by the sum over all classes.

    Args:
        model: From `rebuild`, and never called; changed in place.

    Returns:
        What was changed, for the user; empty if nothing was.
    """
    kind = _last_activation(model)
    if kind not in _BEFORE_SOFTMAX:
        return ""
    _last_layer(model).activation = keras.activations.softmax
    return f"the model returns {_BEFORE_SOFTMAX[kind]}; a softmax was added."


def fits(model: keras.Model) -> bool:
    """Return whether a model takes [n, 28, 28, 1], any n, returns probabilities, and has no nested models."""
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
