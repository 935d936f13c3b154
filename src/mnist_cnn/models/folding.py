"""Merge batch normalisation into convolutions: fewer operations, the same answers.

In a trained network, batch normalisation multiplies each channel by a constant and adds another. Directly after a
convolution, the first becomes part of its kernel and the second its bias. So a network can be trained with batch
normalisation, which learns faster, and kept without (as RepVGG does: Ding et al. 2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import SettingError
from mnist_cnn.models.backend import keras, layers
from mnist_cnn.models.foreign import rebuild
from mnist_cnn.models.unsharing import unshare


def as_saved(model: keras.Model, fold: bool) -> keras.Model:
    """Return a network in the form in which a run saves it: folded, if the settings (`model.fold`) say so.

    Raises:
        SettingError: It is to be folded, but does not normalise directly after a convolution.
    """
    if not fold:
        return model
    saved = fold_batchnorm(model)
    if _count_normalisations(saved) >= _count_normalisations(model):
        raise SettingError(
            f"fold = true requires batch normalisation directly after a convolution, which {model.name} does not have. "
            "Use fold = false, or an architecture such as columns, light, resnet, separable or vgg."
        )
    return saved


def fold_batchnorm(model: keras.Model) -> keras.Model:
    """Remove the batch normalisations that directly follow a convolution.

    Args:
        model: As for `rebuild`. It is not changed. Normalisations are expected to use their moving statistics.

    Returns:
        A copy without them, in which each layer is called once.
    """
    unshared = unshare(rebuild(model))
    folded = {after.name: before for after in unshared.layers if (before := _convolution_before(after, unshared))}
    normalisations = {before.name: unshared.get_layer(name) for name, before in folded.items()}

    def clone(layer: Any) -> Any:
        bias = {"use_bias": True} if layer.name in normalisations else {}
        return type(layer).from_config({**layer.get_config(), **bias})

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in folded else layer(*inputs, **options)

    copy = keras.models.clone_model(unshared, clone_function=clone, call_function=call)
    for layer in copy.layers:
        weights = unshared.get_layer(layer.name).get_weights()
        if layer.name in normalisations:
            weights = _merged(weights, *factor_and_shift(normalisations[layer.name]), layer)
        layer.set_weights(weights)
    return copy


def _count_normalisations(model: keras.Model) -> int:
    return sum(type(layer) is layers.BatchNormalization for layer in model.layers)


def _convolution_before(layer: Any, model: keras.Model) -> Any:
    """Return the convolution whose output goes to this batch normalisation and nowhere else; None for other layers."""
    if type(layer) is not layers.BatchNormalization:
        return None
    before: Any = next((other for other in model.layers if other.output is layer.input), None)
    is_convolution = type(before) in (layers.Conv2D, layers.DepthwiseConv2D)
    if not is_convolution or before.activation is not keras.activations.linear or layer.axis not in (-1, 3):
        return None
    inputs = [*model.outputs, *(each for other in model.operations for each in keras.tree.flatten(other.input))]
    return before if sum(each is before.output for each in inputs) == 1 else None


def _merged(
    weights: list[NDArray[np.float32]], factor: NDArray[np.float64], shift: NDArray[np.float64], layer: Any
) -> list[NDArray[np.float64]]:
    """Return kernel and bias of a convolution that also multiplies its channels by `factor` and adds `shift`."""
    kernel, bias = weights[0], weights[1] if len(weights) > 1 else 0.0
    if type(layer) is layers.DepthwiseConv2D:  # (h, w, in, multiplier); its channels are in · multiplier
        return [kernel * factor.reshape(kernel.shape[2:]), bias * factor + shift]
    return [kernel * factor, bias * factor + shift]  # (h, w, in, out)


def factor_and_shift(layer: layers.BatchNormalization) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a batch normalisation multiplies each channel by, and what it then adds, float64 [channels] each."""
    mean, variance = as_float64(layer.moving_mean), as_float64(layer.moving_variance)
    factor = (as_float64(layer.gamma) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    return factor, (as_float64(layer.beta) if layer.center else 0.0) - mean * factor


def as_float64(variable: Any) -> NDArray[np.float64]:
    """Return the values of a Keras variable."""
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)
