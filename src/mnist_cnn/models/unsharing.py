"""Copy a network so that every layer is called in one place only, and its weights can be folded."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mnist_cnn.models.backend import keras


def unshare(model: keras.Model) -> keras.Model:
    """Give every further call of a layer a layer of its own with the same weights.

    A convolution may be called several times, each time followed by another batch normalisation. Folded, these are
    different convolutions.

    Args:
        model: Any model; it is not changed.

    Returns:
        A Functional model that computes the same, or `model` itself if no layer is called twice.
    """
    if isinstance(model, keras.Sequential):  # in which no layer can occur twice
        return model
    calls: Counter[str] = Counter()
    copies: dict[str, str] = {}  # name → name of the original

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        calls[layer.name] += 1
        if calls[layer.name] == 1:
            return layer(*inputs, **options)
        own = type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_call{calls[layer.name]}"})
        copies[own.name] = layer.name
        return own(*inputs, **options)

    # Without its optimizer and loss: a copy of a compiled model would need their classes, which may be anyone's.
    uncompiled = keras.Model(model.input, model.output, name=model.name)
    unshared = keras.models.clone_model(uncompiled, call_function=call)
    if not copies:
        return model
    originals = {layer.name: layer for layer in model.layers}
    for layer in unshared.layers:
        if layer.weights:
            layer.set_weights(originals[copies.get(layer.name, layer.name)].get_weights())
    return unshared
