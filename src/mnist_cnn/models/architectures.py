"""Named architectures: each builds a `keras.Model` from raw grey levels (0 to 255) to class probabilities.

Scaling is a layer of the model, so it cannot be forgotten. Only `keras.layers` are used: a saved model loads in plain
Keras, in safe mode, on every backend. `export.onnx_layers` has a writer for each kind of layer used here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mnist_cnn.errors import DataError, SettingError, suggest
from mnist_cnn.models.backend import dtype_policy, keras, layers
from mnist_cnn.reading.conventions import IMAGE_SHAPES

Tensor = Any  # a KerasTensor; Keras ships no type information

GREY_LEVELS = 255.0
_LEAK = 0.2  # slope of `separable`'s activations below 0
_MOMENTUM = 0.9  # of batch statistics; Keras' 0.99 needs 500 steps to forget its initial value


def conv3(
    classes: int, *, filters: Sequence[int] = (32, 64, 64), kernel: int = 3, dense: int = 64, dropout: float = 0.5
) -> keras.Model:
    """Three convolutions with max-pooling between them, one hidden dense layer: the notebooks' first CNN.

    Args:
        classes: Number of outputs.
        filters: Channels of each convolution, with pooling in between.
        kernel: Width of every kernel, pixels.
        dense: Units of the hidden layer.
        dropout: Share of hidden units dropped in training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    for index, channels in enumerate(filters):
        if index:
            x = layers.MaxPooling2D(2)(x)
        x = layers.Conv2D(channels, kernel, activation="relu")(x)
    x = layers.Flatten()(x)  # (B, 3 * 3 * 64)
    x = layers.Dense(dense, activation="relu")(x)
    return _model(image, x, classes, dropout, "conv3")


def batchnorm(
    classes: int, *, filters: Sequence[int] = (32, 64, 64), kernel: int = 3, dense: int = 128, dropout: float = 0.5
) -> keras.Model:
    """Convolution, batch normalisation and pooling, twice; then once without pooling. 459,210 parameters at 10 classes.

    Args:
        classes: Number of outputs.
        filters: Channels of each convolution; pooling follows all but the last.
        kernel: Width of every kernel, pixels.
        dense: Units of the hidden layer.
        dropout: Share of hidden units dropped in training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    for index, channels in enumerate(filters):
        x = layers.Conv2D(channels, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        if index < len(filters) - 1:
            x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)  # (B, 7 * 7 * 64)
    x = layers.Dense(dense, activation="relu")(x)
    return _model(image, x, classes, dropout, "batchnorm")


def shallow(
    classes: int,
    *,
    filters: Sequence[int] = (16, 32),
    kernels: Sequence[int] = (5, 4),
    pools: Sequence[int] = (2, 2),
    padded: Sequence[int] = (),
    dense: int = 128,
    dropout: float = 0.0,
) -> keras.Model:
    """A few convolutions with early pooling, after LeNet-5 (LeCun et al. 1998): the fastest to train, or the smallest.

    Pooling comes before batch normalisation, which then has a quarter of the values to normalise. Channels are
    multiples of 16: on a processor with AVX-512, 24 channels take longer than 32.

    Args:
        classes: Number of outputs.
        filters: Channels of each convolution.
        kernels: Width of the kernels of each convolution, pixels.
        pools: Width of the pooling after each convolution; 1 for none.
        padded: Which convolutions pad, counted from 0. Each of the others makes the feature maps smaller.
        dense: Units of the hidden layer; 0 for global average pooling before the output.
        dropout: Share of features dropped before the output in training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    for index, (channels, kernel, pool) in enumerate(zip(filters, kernels, pools, strict=True)):
        padding = "same" if index in padded else "valid"
        x = layers.Conv2D(channels, kernel, padding=padding, use_bias=False)(x)  # (B, 24, 24, ·), (B, 9, 9, ·)
        if pool > 1:
            x = layers.MaxPooling2D(pool)(x)  # (B, 12, 12, ·), (B, 4, 4, ·)
        x = layers.BatchNormalization(momentum=_MOMENTUM)(x)
        x = layers.ReLU()(x)
    if dense:
        x = layers.Flatten()(x)  # (B, 4 * 4 * filters[-1])
        x = layers.Dense(dense, activation="relu")(x)
    else:
        x = layers.GlobalAveragePooling2D()(x)  # (B, filters[-1])
    return _model(image, x, classes, dropout, "shallow")


def vgg(
    classes: int, *, filters: Sequence[int] = (32, 64, 128), depth: int = 2, dense: int = 0, dropout: float = 0.3
) -> keras.Model:
    """VGG (Simonyan & Zisserman 2015) for 28×28: pairs of 3×3 convolutions, then pooling.

    Args:
        classes: Number of outputs.
        filters: Channels of each stage, with pooling in between.
        depth: Convolutions per stage.
        dense: Units of a hidden dense layer; 0 for global average pooling before the output.
        dropout: Share of features dropped before the output in training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    x = _stages(x, filters, depth)  # (B, 7, 7, filters[-1])
    if dense:
        x = layers.Flatten()(x)
        x = layers.Dense(dense, activation="relu")(x)
    else:
        x = layers.GlobalAveragePooling2D()(x)  # (B, filters[-1])
    return _model(image, x, classes, dropout, "vgg")


def resnet(
    classes: int, *, stem: int = 32, filters: Sequence[int] = (32, 64, 128), blocks: int = 2, dropout: float = 0.3
) -> keras.Model:
    """A residual network (He et al. 2016) for 28×28: stages of two-convolution blocks with identity shortcuts.

    As in the paper, a convolution and a pooling come first, so that the blocks work on 14×14 and less.

    Args:
        classes: Number of outputs.
        stem: Channels of the first convolution.
        filters: Channels of each stage; every stage but the first halves the resolution.
        blocks: Residual blocks per stage.
        dropout: Share of features dropped before the output in training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    x = layers.MaxPooling2D(2)(_convolution(x, stem))  # (B, 14, 14, stem)
    for stage, channels in enumerate(filters):
        for block in range(blocks):
            x = _residual_block(x, channels, stride=2 if stage and not block else 1)  # (B, 14 | 7 | 4, ·)
    x = layers.GlobalAveragePooling2D()(x)  # (B, filters[-1])
    return _model(image, x, classes, dropout, "resnet")


def light(
    classes: int, *, filters: Sequence[int] = (16, 32, 64, 64, 64), dropout: float = 0.3, normalise: bool = True
) -> keras.Model:
    """Accurate with few operations: 2.0 million multiply-adds per image, a third of `batchnorm`'s.

    Strides come first, because a convolution at 28×28 costs four times as much as at 14×14. Channels are multiples of
    16, the number of float32 values that a processor with AVX-512 multiplies at once. The last feature maps are
    flattened instead of averaged: the position of strokes costs 16,000 operations and is worth it.

    Args:
        classes: Number of outputs.
        filters: Channels of the 5×5 stem and the 3×3 convolutions after it. The first two have stride 2; of the
            others, every second one pads.
        dropout: Share of features dropped before the output in training.
        normalise: Normalise each convolution's output over the batch; otherwise it only has a bias.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    x = layers.Flatten()(_early_strides(x, filters, normalise))  # (B, 3 * 3 * filters[-1])
    return _model(image, x, classes, dropout, "light")


def columns(
    classes: int,
    *,
    vgg: Sequence[int] = (16, 64, 128),
    light: Sequence[int] = (16, 32, 64, 64, 64),
    dropout: float = 0.3,
    column_dropout: float = 0.25,
) -> keras.Model:
    """Two different networks side by side, with a shared output layer: `vgg` with global average pooling, and `light`.

    Networks of different kinds have fewer errors in common than two of the same kind. In training, each column is left
    out at times, so that the other learns to recognise digits alone. The name is from multi-column networks (Cireşan,
    Meier & Schmidhuber 2012), which average columns that are trained separately.

    Args:
        classes: Number of outputs.
        vgg: Channels of each stage of the first column.
        light: Channels of the convolutions of the second column.
        dropout: Share of features dropped before the output in training.
        column_dropout: Share of images for which each column is left out in training, independently of the other: at
            0.25, 6 % of the images lose both.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    first = layers.GlobalAveragePooling2D()(_stages(x, vgg))  # (B, vgg[-1])
    second = layers.Flatten()(_early_strides(x, light))  # (B, 3 * 3 * light[-1])
    features = [layers.Dropout(column_dropout, noise_shape=(None, 1))(column) for column in (first, second)]
    return _model(image, layers.Concatenate()(features), classes, dropout, "columns")


def separable(
    classes: int, *, stem: int = 7, filters: Sequence[int] = (10, 10, 11, 12), dropout: float = 0.0
) -> keras.Model:
    """Separable convolutions, as in Xception (Chollet 2017): few parameters, 997 after folding at 10 classes.

    Each one is a 3×3 convolution within every channel, followed by a 1×1 convolution across them. The channels are
    those of https://github.com/JoshWarn/Parameter-Efficient-MNIST, which does not normalise. With leaky ReLU (Maas et
    al. 2013), none of the few channels can stop learning.

    Args:
        classes: Number of outputs.
        stem: Channels of the first convolution, an ordinary one with pooling.
        filters: Channels of the separable convolutions. They do not pad, so each makes the feature maps smaller.
        dropout: Share of features dropped before the output in training.
    """
    image, x = _scaled_image()  # (B, 28, 28, 1)
    x = layers.MaxPooling2D(2)(_convolution(x, stem, padding="valid", leak=_LEAK))  # (B, 13, 13, stem)
    for channels in filters:
        x = layers.DepthwiseConv2D(3, use_bias=False)(x)  # (B, 11 | 9 | 7 | 5, ·)
        x = _convolution(x, channels, kernel=1, leak=_LEAK)
    x = layers.GlobalAveragePooling2D()(x)  # (B, filters[-1])
    return _model(image, x, classes, dropout, "separable")


ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    function.__name__: function for function in (conv3, batchnorm, shallow, vgg, resnet, light, columns, separable)
}


def build_model(
    architecture: str, arguments: Mapping[str, Any], classes: int, *, seed: int = 0, precision: str = "float32"
) -> keras.Model:
    """Build a named architecture with random initial weights.

    Clears Keras' global state first, so that layers are called `conv2d`, `conv2d_1`, …, no matter how many models this
    process has built before.

    Args:
        architecture: One of `ARCHITECTURES`.
        arguments: Its keyword arguments, without `classes`.
        classes: Number of outputs, 2 or more.
        seed: Fixes the initial weights and dropout.
        precision: Keras' dtype policy, `float32` or `mixed_bfloat16`; probabilities are always float32.

    Raises:
        InputError: The architecture or an argument is unknown, no network can be built, or there are fewer than 2
            classes.
    """
    function = find_architecture(architecture, arguments)
    if classes < 2:
        raise DataError(f"a network for {classes} classes cannot be trained. Give data with at least 2 classes.")
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    try:
        with dtype_policy(precision):
            return function(classes, **arguments)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise SettingError(
            f"architecture {architecture!r} cannot be built with {dict(arguments)}: {_reason(error)}"
        ) from error


def find_architecture(architecture: str, arguments: Mapping[str, Any]) -> Callable[..., keras.Model]:
    """Return the function of an architecture after checking the names of its arguments.

    Raises:
        InputError: An unknown architecture or argument.
    """
    if architecture not in ARCHITECTURES:
        raise SettingError(f"{architecture!r} is not a known architecture. {suggest(architecture, ARCHITECTURES)}")
    function = ARCHITECTURES[architecture]
    valid = [name for name in inspect.signature(function).parameters if name != "classes"]
    for name in arguments:
        if name not in valid:
            raise SettingError(f"architecture {architecture!r} takes no argument {name!r}. {suggest(name, valid)}")
    return function


def _reason(error: Exception) -> str:
    """Return the line of Keras' message that says what is wrong, not the one that only names the layer."""
    lines = re.sub(r"\x1b\[\d+m", "", str(error)).strip().splitlines()
    return next((line for line in lines if line and not line.startswith("Exception encountered")), lines[0])


def _scaled_image() -> tuple[Tensor, Tensor]:
    image = keras.Input(IMAGE_SHAPES[0], name="image")  # grey levels 0 to 255
    return image, layers.Rescaling(1 / GREY_LEVELS)(image)


def _model(image: Tensor, features: Tensor, classes: int, dropout: float, name: str) -> keras.Model:
    """Add dropout and the output layer."""
    x = layers.Dropout(dropout)(features)
    # float32 under every policy: bfloat16 has 3 significant digits, too few for a probability near 1.
    probabilities = layers.Dense(classes, activation="softmax", dtype="float32")(x)
    return keras.Model(image, probabilities, name=name)


def _convolution(
    x: Tensor,
    channels: int,
    stride: int = 1,
    *,
    kernel: int = 3,
    padding: str = "same",
    normalise: bool = True,
    leak: float = 0.0,
) -> Tensor:
    # Normalisation has a shift of its own, so the convolution needs no bias (Ioffe & Szegedy 2015, section 3.2).
    x = layers.Conv2D(channels, kernel, strides=stride, padding=padding, use_bias=not normalise)(x)
    if normalise:
        x = layers.BatchNormalization(momentum=_MOMENTUM)(x)
    return layers.LeakyReLU(leak)(x) if leak else layers.ReLU()(x)


def _stages(x: Tensor, filters: Sequence[int], depth: int = 2) -> Tensor:
    """Add stages of `depth` convolutions, with pooling in between."""
    for stage, channels in enumerate(filters):
        if stage:
            x = layers.MaxPooling2D(2)(x)  # (B, 14, 14, ·), (B, 7, 7, ·)
        for _ in range(depth):
            x = _convolution(x, channels)
    return x


def _early_strides(x: Tensor, filters: Sequence[int], normalise: bool = True) -> Tensor:
    """Add a 5×5 convolution and 3×3 ones; the first two have stride 2, and of the others, every second one pads."""
    for index, channels in enumerate(filters):
        stride, kernel = (2 if index < 2 else 1), (3 if index else 5)
        padding = "same" if stride == 2 or index % 2 else "valid"
        # (B, 14, 14, ·), (B, 7, 7, ·), (B, 5, 5, ·), (B, 5, 5, ·), (B, 3, 3, ·)
        x = _convolution(x, channels, stride, kernel=kernel, padding=padding, normalise=normalise)
    return x


def _residual_block(x: Tensor, channels: int, stride: int) -> Tensor:
    shortcut = x
    if stride > 1 or x.shape[-1] != channels:
        shortcut = layers.Conv2D(channels, 1, strides=stride, use_bias=False)(x)
        shortcut = layers.BatchNormalization(momentum=_MOMENTUM)(shortcut)
    x = _convolution(x, channels, stride)
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM)(x)
    return layers.ReLU()(layers.Add()([x, shortcut]))
