"""Rewrite a network so that it computes the same, but quantises better."""

from __future__ import annotations

from typing import Any

from mnist_cnn.models.backend import keras, layers
from mnist_cnn.models.folding import factor_and_shift

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


def normalise_by_convolution(model: keras.Model) -> keras.Model:
    """Replace each batch normalisation that follows an activation by a 1×1 depthwise convolution.

    A batch normalisation directly after a convolution is folded into it. After an activation it stays a product with
    one factor per channel, and LiteRT's quantiser has a single scale for all of them: small factors become 0, which
    costs the `batchnorm` recipe 0.25 points of accuracy. The weights of a convolution have one scale per channel.
    """
    chosen = {layer.name for layer in model.layers if _stands_alone(layer, model)}
    if not chosen:
        return model

    def clone(layer: Any) -> Any:
        if layer.name in chosen:
            return layers.DepthwiseConv2D(1, name=layer.name)
        return type(layer).from_config(layer.get_config())

    # Keras calls a normalisation with a mask, which a convolution does not take. A Sequential model records no calls.
    options = {} if isinstance(model, keras.Sequential) else {"call_function": lambda layer, x, **_: layer(x)}
    changed = keras.models.clone_model(model, clone_function=clone, **options)
    for layer in model.layers:
        weights = _as_convolution(layer) if layer.name in chosen else layer.get_weights()
        changed.get_layer(layer.name).set_weights(weights)
    return changed


def _stands_alone(layer: Any, model: keras.Model) -> bool:
    """Return whether a layer normalises feature maps that do not come directly from a convolution."""
    if type(layer) is not layers.BatchNormalization or len(layer.input.shape) != 4:
        return False
    before = next((other for other in model.layers if other.output is layer.input), None)
    return not (isinstance(before, _CONVOLUTIONS) and before.activation is keras.activations.linear)


def _as_convolution(layer: layers.BatchNormalization) -> list[Any]:
    factor, shift = factor_and_shift(layer)
    return [factor.reshape(1, 1, -1, 1), shift]
