"""A network that computes the same, but quantises better."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnist_cnn.models.backend import keras, layers

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


def normalise_by_convolution(model: keras.Model) -> keras.Model:
    """Give the network with each batch normalisation that follows an activation as a 1×1 convolution per channel.

    A normalisation straight after a convolution melts into it. After an activation it stays a product with one number
    per channel, and LiteRT's quantiser has a single scale for all of them: small ones become 0, which costs the
    `batchnorm` recipe 0.25 points of accuracy. A convolution's weights have a scale per channel.
    """
    chosen = {layer.name for layer in model.layers if _stands_alone(layer, model)}
    if not chosen:
        return model

    def clone(layer: Any) -> Any:
        if layer.name in chosen:
            return layers.DepthwiseConv2D(1, name=layer.name)
        return type(layer).from_config(layer.get_config())

    # A normalisation is called with a mask, which a convolution does not take; a Sequential model records no calls.
    options = {} if isinstance(model, keras.Sequential) else {"call_function": lambda layer, x, **_: layer(x)}
    changed = keras.models.clone_model(model, clone_function=clone, **options)
    for layer in model.layers:
        weights = _as_convolution(layer) if layer.name in chosen else layer.get_weights()
        changed.get_layer(layer.name).set_weights(weights)
    return changed


def _stands_alone(layer: Any, model: keras.Model) -> bool:
    """Say whether a layer normalises pictures that do not come straight from a convolution."""
    if type(layer) is not layers.BatchNormalization or len(layer.input.shape) != 4:
        return False
    before = next((other for other in model.layers if other.output is layer.input), None)
    return not (isinstance(before, _CONVOLUTIONS) and before.activation is keras.activations.linear)


def _as_convolution(layer: layers.BatchNormalization) -> list[Any]:
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    factor = (np.asarray(layer.gamma) if layer.scale else 1) / np.sqrt(variance + layer.epsilon)
    shift = (np.asarray(layer.beta) if layer.center else 0) - mean * factor
    return [factor.reshape(1, 1, -1, 1), shift]
