from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.evaluation.saliency import occlusion_maps


def read_brightness(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A stand-in for a model: the brighter the weighted image, the more probable class 1."""
    weights = np.linspace(0, 1, 784).reshape(28, 28)
    ones = (images * weights).sum(axis=(1, 2)) / (255 * weights.sum())
    return np.stack([1 - ones, ones], axis=1)


def slow_map(image: NDArray[np.uint8]) -> NDArray[Any]:
    before = read_brightness(image[np.newaxis])[0]
    drops = np.zeros((28, 28))
    for y in range(28):
        for x in range(28):
            hidden = image.copy()
            rows, columns = (slice(max(centre - 3, 0), centre + 4) for centre in (y, x))
            hidden[rows, columns] = 0
            drops[y, x] = before.max() - read_brightness(hidden[np.newaxis])[0, before.argmax()]
    return drops


def test_maps_agree_with_hiding_every_square_in_turn() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    images[2] = 255  # class 1 at full strength
    before = images.copy()
    maps = occlusion_maps(read_brightness, images)
    np.testing.assert_array_equal(images, before)
    assert maps.dtype == np.float32
    for image, found in zip(images, maps, strict=True):
        np.testing.assert_allclose(found, slow_map(image), atol=1e-6)
