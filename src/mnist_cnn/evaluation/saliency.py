"""Which parts of an image a prediction depends on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.reading.conventions import IMAGE_SIZE

PATCH = 7  # pixels, odd: hides a stroke and its surroundings, but not a whole digit

Reader = Callable[[NDArray[np.uint8]], NDArray[np.floating]]  # images [m, 28, 28] → probabilities [m, k]


def occlusion_maps(read: Reader, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure how much the probability of the predicted class drops when each part of the image is hidden.

    Occlusion sensitivity (Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks",
    section 4.2). It needs predictions but no gradients, so it works for any model on every Keras backend.

    Args:
        read: Gives probabilities, [m, k], for images, uint8 [m, 28, 28].
        images: uint8 [n, 28, 28].

    Returns:
        float32 [n, 28, 28], -1 … 1: at (y, x) the drop when a square of `PATCH` pixels centred there
        is black; negative where hiding raises the probability.
    """
    line = np.arange(IMAGE_SIZE)
    near = np.abs(line[:, np.newaxis] - line) <= PATCH // 2  # [centre, position]
    visible = ~np.kron(near, near).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)  # [784, 28, 28], one mask per centre
    predicted = read(images).argmax(axis=1)
    maps = np.empty(images.shape, dtype=np.float32)
    for index, (image, digit) in enumerate(zip(images, predicted, strict=True)):
        both = read(np.concatenate([image[np.newaxis], visible * image]))[:, digit]  # [1 + 784]
        maps[index] = (both[0] - both[1:]).reshape(IMAGE_SIZE, IMAGE_SIZE)
    return maps
