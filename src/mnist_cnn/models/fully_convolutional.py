"""The network that reads lines: convolutions only, so that it takes lines of any width.

It follows the recognition of text without segmentation (Shi et al. 2015, "An end-to-end trainable neural network for
image-based sequence recognition") with two dilated convolutions along the line in place of a recurrent layer. Only
`keras.layers` are used, and `export.onnx_layers` has a writer for each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnist_cnn.models.backend import dtype_policy, keras, layers
from mnist_cnn.reading.conventions import LINE_OUTPUTS
from mnist_cnn.reading.numbers.ctc import SYMBOLS
from mnist_cnn.reading.numbers.line_network import INPUT
from mnist_cnn.reading.numbers.line_preparation import HEIGHT

Tensor = Any  # a KerasTensor; Keras ships no type information

_MOMENTUM = 0.98  # of batch statistics: each batch has lines of one width only
_ROWS = HEIGHT // 8  # of the last feature maps before they are joined


def build_line_network(
    widths: Sequence[int], dropout: float = 0.0, *, seed: int = 0, precision: str = "float32"
) -> keras.Model:
    """Build the network with random initial weights.

    It takes float32 `images` [n, 32, w, 1] from 0 to 1, as `line_preparation` gives them, w a multiple of 4. It returns
    float32 `scores` [n, w / 4, 11], logits of the CTC blank and the ten digits, and `boxes` [n, w / 4, 4], the edges
    left, top, right and bottom of the digit there, in heights of the line, left and right from the column's centre.

    Args:
        widths: Channels of the four stages, and of the columns along the line.
        dropout: Share of channels dropped in training.
        seed: Fixes the initial weights and dropout.
        precision: Keras' dtype policy, `float32` or `mixed_bfloat16`; outputs are always float32.
    """
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    with dtype_policy(precision):
        line = keras.Input((HEIGHT, None, 1), name=INPUT)
        x = _columns(line, widths, dropout)
        answers = [_answer(x, size, name) for size, name in zip((SYMBOLS, 4), LINE_OUTPUTS, strict=True)]
        return keras.Model(line, answers, name="fully_convolutional")


def _columns(line: Tensor, widths: Sequence[int], dropout: float) -> Tensor:
    """Return the features of each column of the line: (B, 1, w / 4, widths[4])."""
    first, second, third, fourth, last = widths
    x = _norm(layers.MaxPooling2D(2)(_convolution(line, first)))  # (B, 16, w / 2, ·)
    x = _convolution(x, second, activation="relu")
    x = _norm(layers.MaxPooling2D(2)(_convolution(x, second)))  # (B, 8, w / 4, ·)
    x = _convolution(x, third, activation="relu")
    x = _norm(layers.MaxPooling2D((2, 1))(_convolution(x, third)))  # (B, 4, w / 4, ·)
    x = _convolution(x, fourth, activation="relu")
    x = _norm(_convolution(x, fourth))
    x = _norm(layers.Conv2D(last, (_ROWS, 1))(x))  # (B, 1, w / 4, last)
    x = _drop(x, dropout)
    y = _norm(_convolution(x, last, (1, 3)))
    y = _norm(_convolution(y, last, (1, 3), dilation_rate=(1, 2)))  # sees 70 pixels of the line
    return _drop(layers.Add()([x, y]), dropout)


def _answer(x: Tensor, size: int, name: str) -> Tensor:
    # float32 under every policy: bfloat16 has 3 significant digits.
    each = layers.Conv2D(size, 1, dtype="float32")(x)  # (B, 1, w / 4, size)
    return layers.Reshape((-1, size), dtype="float32", name=name)(each)  # (B, w / 4, size)


def _convolution(x: Tensor, channels: int, kernel: int | tuple[int, int] = 3, **options: Any) -> Tensor:
    return layers.Conv2D(channels, kernel, padding="same", **options)(x)


def _norm(x: Tensor) -> Tensor:
    return layers.ReLU()(layers.BatchNormalization(momentum=_MOMENTUM)(x))


def _drop(x: Tensor, dropout: float) -> Tensor:
    """Drop whole channels, because neighbouring columns resemble each other (Tompson et al. 2015)."""
    return layers.Dropout(dropout, noise_shape=(None, 1, 1, x.shape[-1]))(x)
