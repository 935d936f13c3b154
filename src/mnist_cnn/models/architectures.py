"""Named architectures: each gives a `keras.Model` from raw grey levels (0 … 255) to class probabilities.

Scaling is a layer of the model, so that nobody can forget it. Only `keras.layers` are used: a saved model loads in
plain Keras, in safe mode, on every backend.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mnist_cnn.errors import DataError, SettingError, suggest
from mnist_cnn.models.backend import keras, layers
from mnist_cnn.reading import IMAGE_SIZE

Tensor = Any  # a KerasTensor; Keras ships no type information

GREY_LEVELS = 255.0
_MOMENTUM = 0.9  # of batch statistics; Keras' 0.99 needs 500 steps to forget where it began, more than small data give


def conv3(
    classes: int,
    *,
    filters: Sequence[int] = (32, 64, 64),
    kernel: int = 3,
    dense: int = 64,
    dropout: float = 0.5,
) -> keras.Model:
    """Three convolutions with max-pooling between them, one hidden dense layer: the notebooks' first CNN.

    Args:
        classes: Number of outputs.
        filters: Channels of each convolution; pooling stands between them.
        kernel: Width of every kernel, pixels.
        dense: Units of the hidden layer.
        dropout: Share of hidden units dropped while training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    for index, channels in enumerate(filters):
        if index:
            x = layers.MaxPooling2D(2)(x)
        x = layers.Conv2D(channels, kernel, activation="relu")(x)
    x = layers.Flatten()(x)  # (B, 3 * 3 * 64)
    x = layers.Dense(dense, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(image, _probabilities(x, classes), name="conv3")


def batchnorm(
    classes: int,
    *,
    filters: Sequence[int] = (32, 64, 64),
    kernel: int = 3,
    dense: int = 128,
    dropout: float = 0.5,
) -> keras.Model:
    """Convolution, batch normalisation, pooling; twice, then once without pooling; 459,210 parameters at 10 classes.

    Args:
        classes: Number of outputs.
        filters: Channels of each convolution; pooling follows all but the last.
        kernel: Width of every kernel, pixels.
        dense: Units of the hidden layer.
        dropout: Share of hidden units dropped while training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    for index, channels in enumerate(filters):
        x = layers.Conv2D(channels, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        if index < len(filters) - 1:
            x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)  # (B, 7 * 7 * 64)
    x = layers.Dense(dense, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(image, _probabilities(x, classes), name="batchnorm")


def vgg(
    classes: int,
    *,
    filters: Sequence[int] = (32, 64, 128),
    depth: int = 2,
    dense: int = 0,
    dropout: float = 0.3,
) -> keras.Model:
    """VGG's idea (Simonyan & Zisserman 2015) for 28×28: pairs of 3×3 convolutions, then halve the picture.

    Args:
        classes: Number of outputs.
        filters: Channels of each stage; pooling stands between the stages.
        depth: Convolutions per stage.
        dense: Units of a hidden dense layer; 0 for global average pooling straight into the output.
        dropout: Share of features dropped before the output while training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    for stage, channels in enumerate(filters):
        if stage:
            x = layers.MaxPooling2D(2)(x)  # (B, 14, 14, ·), (B, 7, 7, ·)
        for _ in range(depth):
            x = _convolution(x, channels)
    if dense:
        x = layers.Flatten()(x)
        x = layers.Dense(dense, activation="relu")(x)
    else:
        x = layers.GlobalAveragePooling2D()(x)  # (B, filters[-1])
    x = layers.Dropout(dropout)(x)
    return keras.Model(image, _probabilities(x, classes), name="vgg")


def resnet(
    classes: int, *, stem: int = 32, filters: Sequence[int] = (32, 64, 128), blocks: int = 2, dropout: float = 0.3
) -> keras.Model:
    """A residual network (He et al. 2016) for 28×28: stages of two-convolution blocks with identity shortcuts.

    As in the paper, a convolution and a pooling come first, so that the blocks work on 14×14 and smaller pictures.

    Args:
        classes: Number of outputs.
        stem: Channels of the first convolution.
        filters: Channels of each stage; every stage but the first halves the picture.
        blocks: Residual blocks per stage.
        dropout: Share of features dropped before the output while training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    x = layers.MaxPooling2D(2)(_convolution(x, stem))  # (B, 14, 14, stem)
    for stage, channels in enumerate(filters):
        for block in range(blocks):
            x = _residual_block(x, channels, stride=2 if stage and not block else 1)  # (B, 14 | 7 | 4, ·)
    x = layers.GlobalAveragePooling2D()(x)  # (B, filters[-1])
    x = layers.Dropout(dropout)(x)
    return keras.Model(image, _probabilities(x, classes), name="resnet")


def light(
    classes: int,
    *,
    filters: Sequence[int] = (16, 32, 64, 64, 64),
    dropout: float = 0.3,
) -> keras.Model:
    """The fewest operations that still read well: 2.0 million multiply-adds an image, a third of `batchnorm`'s.

    Strides come first, because a convolution at 28×28 costs four times the same one at 14×14; channels are multiples
    of 16, because that is how many float32 numbers a processor with AVX-512 multiplies at once. The last maps go into
    the output as they are: where in the picture a stroke lies costs 16,000 operations to know, and is worth it.

    Args:
        classes: Number of outputs.
        filters: Channels of the 5×5 stem and the 3×3 convolutions after it. The first two have stride 2; of the
            others, every second one pads, the rest see whole neighbourhoods only.
        dropout: Share of features dropped before the output while training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    for index, channels in enumerate(filters):
        strided = index < 2
        padding = "same" if strided or index % 2 else "valid"
        # (B, 14, 14, ·), (B, 7, 7, ·), (B, 5, 5, ·), (B, 5, 5, ·), (B, 3, 3, ·)
        x = _convolution(x, channels, 2 if strided else 1, kernel=3 if index else 5, padding=padding)
    x = layers.Flatten()(x)  # (B, 3 * 3 * filters[-1])
    x = layers.Dropout(dropout)(x)
    return keras.Model(image, _probabilities(x, classes), name="light")


ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    function.__name__: function for function in (conv3, batchnorm, vgg, resnet, light)
}


def build_model(
    architecture: str,
    arguments: Mapping[str, Any],
    classes: int,
    *,
    seed: int = 0,
    precision: str = "float32",
) -> keras.Model:
    """Build a named architecture with freshly drawn weights.

    Clears Keras' global state first, so that layers are called `conv2d`, `conv2d_1`, … however many models this
    process built before.

    Args:
        architecture: One of `ARCHITECTURES`.
        arguments: Its keyword arguments, without `classes`.
        classes: Number of outputs, 2 or more.
        seed: Fixes the initial weights and dropout.
        precision: Keras' dtype policy, `float32` or `mixed_bfloat16`; probabilities are always float32.

    Raises:
        InputError: An unknown architecture or argument, an argument that makes no network, or fewer than 2 classes.
    """
    function = find_architecture(architecture, arguments)
    if classes < 2:
        raise DataError(f"a network for {classes} classes has nothing to tell apart. Give data of 2 classes or more.")
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return function(classes, **arguments)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise SettingError(
            f"architecture {architecture!r} cannot be built with {dict(arguments)}: {_reason(error)}"
        ) from error
    finally:
        keras.config.set_dtype_policy(policy)


def find_architecture(architecture: str, arguments: Mapping[str, Any]) -> Callable[..., keras.Model]:
    """Give the function of an architecture, having seen that it takes these arguments by their names.

    Raises:
        InputError: An unknown architecture or argument.
    """
    if architecture not in ARCHITECTURES:
        raise SettingError(f"there is no architecture {architecture!r}. {suggest(architecture, ARCHITECTURES)}")
    function = ARCHITECTURES[architecture]
    valid = [name for name in inspect.signature(function).parameters if name != "classes"]
    for name in arguments:
        if name not in valid:
            raise SettingError(f"architecture {architecture!r} takes no argument {name!r}. {suggest(name, valid)}")
    return function


def _reason(error: Exception) -> str:
    """Give the line of Keras' message that says what is wrong: not the one that only names the layer."""
    lines = re.sub(r"\x1b\[\d+m", "", str(error)).strip().splitlines()
    return next((line for line in lines if line and not line.startswith("Exception encountered")), lines[0])


def _scaled_image() -> tuple[Tensor, Tensor]:
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1), name="image")  # grey levels 0 … 255
    return image, layers.Rescaling(1 / GREY_LEVELS)(image)


def _probabilities(x: Tensor, classes: int) -> Tensor:
    # float32 under every policy: bfloat16 has 3 significant digits, too few for a probability near 1.
    return layers.Dense(classes, activation="softmax", dtype="float32")(x)


def _convolution(x: Tensor, channels: int, stride: int = 1, *, kernel: int = 3, padding: str = "same") -> Tensor:
    # Normalisation has a shift of its own, so the convolution needs no bias (Ioffe & Szegedy 2015, section 3.2).
    x = layers.Conv2D(channels, kernel, strides=stride, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM)(x)
    return layers.ReLU()(x)


def _residual_block(x: Tensor, channels: int, stride: int) -> Tensor:
    shortcut = x
    if stride > 1 or x.shape[-1] != channels:
        shortcut = layers.Conv2D(channels, 1, strides=stride, use_bias=False)(x)
        shortcut = layers.BatchNormalization(momentum=_MOMENTUM)(shortcut)
    x = _convolution(x, channels, stride)
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM)(x)
    return layers.ReLU()(layers.Add()([x, shortcut]))
