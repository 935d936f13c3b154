"""Batch normalisation as one fused operation instead of Keras' chain of element-wise operations (TensorFlow only).

Keras 3 subtracts, multiplies and adds separately, in float32 at any precision. On a CPU, each of these reads and
writes the whole tensor (`benchmarks/epoch_time.py` compares whole epochs). TensorFlow's fused kernel computes the same
function. Only the execution changes: the model and its file remain plain Keras.
"""

from __future__ import annotations

import functools
from typing import Any

from mnist_cnn.models.backend import keras


def fuse_batchnorm(model: keras.Model) -> None:
    """Let every plain `BatchNormalization` layer of `model` run as one fused operation, on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return
    for layer in model.layers:
        if type(layer) is keras.layers.BatchNormalization and _is_plain(layer):
            layer.call = functools.partial(_fused_call, layer)


def _is_plain(layer: keras.layers.BatchNormalization) -> bool:
    on_channels = layer.axis in (3, -1) and layer.input.shape is not None and len(layer.input.shape) == 4
    return bool(
        on_channels and layer.scale and layer.center and not getattr(layer, "renorm", False) and not layer.synchronized
    )


def _fused_call(
    layer: keras.layers.BatchNormalization,
    inputs: Any,  # tensor [B, H, W, C]
    training: bool | None = None,
    mask: Any = None,
) -> Any:
    """Compute `BatchNormalization.call` for images, which have no mask."""
    import tensorflow as tf

    del mask
    normalise = functools.partial(
        tf.raw_ops.FusedBatchNormV3,
        x=inputs,
        scale=tf.convert_to_tensor(layer.gamma),
        offset=tf.convert_to_tensor(layer.beta),
        epsilon=layer.epsilon,
    )
    if not (training and layer.trainable):
        return normalise(
            mean=tf.convert_to_tensor(layer.moving_mean),
            variance=tf.convert_to_tensor(layer.moving_variance),
            is_training=False,
        ).y
    result = normalise(mean=tf.zeros([0]), variance=tf.zeros([0]), is_training=True)
    # The kernel gives the unbiased variance (n - 1), Keras averages the biased one (n).
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
    variance = result.batch_variance * (count - 1) / count
    keep = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * keep + result.batch_mean * (1 - keep))
    layer.moving_variance.assign(layer.moving_variance * keep + variance * (1 - keep))
    return result.y
