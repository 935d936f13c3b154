"""The precision of training, and its devices."""

from __future__ import annotations

from mnist_cnn.config import Config
from mnist_cnn.environment.machine import has_bfloat16
from mnist_cnn.errors import SettingError
from mnist_cnn.models.backend import keras


def training_precision(config: Config) -> str:
    """Return the dtype policy to train with: that of model files if training starts from one.

    Raises:
        SettingError: Another one is asked for there.
    """
    if config.model.init_from:
        if config.training.precision == "mixed_bfloat16":
            raise SettingError("a network that starts from init_from trains in float32. Use precision = 'auto'.")
        return "float32"
    return automatic_precision() if config.training.precision == "auto" else config.training.precision


def automatic_precision() -> str:
    """Return the dtype policy of bfloat16 if the hardware multiplies it, else of float32."""
    on_accelerator = any(not device.lower().startswith("cpu") for device in devices())
    return "mixed_bfloat16" if on_accelerator or has_bfloat16() else "float32"


def devices() -> list[str]:
    """Return the names of the backend's devices, such as `CPU` or `GPU:0`."""
    # `keras.distribution.list_devices` fails on torch, and on jax without a GPU.
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices()]
    if backend == "jax":
        import jax

        return [f"{device.platform}:{device.id}" for device in jax.devices()]
    if backend == "torch":
        import torch

        return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]
    return ["cpu"]
