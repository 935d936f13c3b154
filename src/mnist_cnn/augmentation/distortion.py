"""Label-preserving distortions of digits: one random resampling per image, a whole batch at a time.

Rotation, zoom, shear, shift, flips and the elastic field map output pixels to places in the input, so they add up to a
single bilinear resampling. Only the strokes are widened or narrowed before that, and stray marks come last. It runs
in NumPy and OpenCV and is therefore the same on every Keras backend; a given generator draws the same distortions
everywhere.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.augmentation.stray_marks import add_stray_marks
from mnist_cnn.reading.conventions import IMAGE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.config import AugmentationConfig

_MARGIN = 1  # empty pixels around every image in the stack, so that resampling never sees a neighbour
_TILE = IMAGE_SIZE + 2 * _MARGIN
_STACK = 32_000 // _TILE  # images per call: OpenCV's remap addresses at most 32,767 rows


def augment(images: NDArray[np.uint8], config: AugmentationConfig, random: np.random.Generator) -> NDArray[np.uint8]:
    """Distort each image with its own random draw.

    Args:
        images: uint8 [n, 28, 28], background 0.
        config: Strengths; each parameter is drawn uniformly within ± its strength. `marks` is a share of the images.
        random: Source of the draws.

    Returns:
        uint8 [n, 28, 28]; `images` itself if no distortion is enabled.
    """
    if not config.is_active:
        return images
    chunks = [images[start : start + _STACK] for start in range(0, len(images), _STACK)]
    distorted = np.concatenate([_distort(chunk, config, random) for chunk in chunks])
    return add_stray_marks(distorted, config.marks, random) if config.marks else distorted


def _distort(images: NDArray[np.uint8], config: AugmentationConfig, random: np.random.Generator) -> NDArray[np.uint8]:
    """Distort at most `_STACK` images."""
    places = sampling_map(len(images), config, random)
    tall = np.pad(images, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN))).reshape(len(images) * _TILE, _TILE)
    if config.stroke:
        tall = _vary_strokes(tall, random.uniform(-config.stroke, config.stroke, len(images)))
    return _resample(tall, places)


def _vary_strokes(tall: NDArray[np.uint8], widths: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Move the edges of the strokes outwards or, where `widths` is negative, inwards, by less than a pixel.

    Each image is mixed with its dilation or its erosion by one pixel.

    Args:
        tall: uint8 [n * 30, 30], the stack with margins.
        widths: float64 [n], -1 to 1, pixels.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    share = np.repeat(np.abs(widths), _TILE)[:, np.newaxis].astype(np.float32)
    is_wider = np.repeat(widths > 0, _TILE)[:, np.newaxis]
    other = np.where(is_wider, cv2.dilate(tall, cross), cv2.erode(tall, cross))
    varied: NDArray[np.uint8] = np.rint(tall * (1 - share) + other * share).astype(np.uint8)
    tiles = varied.reshape(-1, _TILE, _TILE)
    tiles[:, [0, -1]] = tiles[:, :, [0, -1]] = 0  # the margin stays empty, because all places outside show it
    return varied


def sampling_map(count: int, config: AugmentationConfig, random: np.random.Generator) -> NDArray[np.float32]:
    """Draw, for every output pixel of every image, the place in the input that it shows.

    Returns:
        float32 [2, count, 28, 28], x and y in input pixels; outside 0 … 27 is background.
    """
    centre = (IMAGE_SIZE - 1) / 2
    y, x = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE].reshape(2, -1) - centre  # origin in the middle
    pixels = np.stack([x, y, np.ones_like(x)]).astype(np.float32)  # (3, 784), homogeneous coordinates
    shift = random.uniform(-1, 1, (count, 2, 1)) * config.shift * IMAGE_SIZE
    affine = np.concatenate([_linear_parts(count, config, random), centre - shift], axis=2)  # (n, 2, 3)
    places = affine.transpose(1, 0, 2).astype(np.float32) @ pixels  # (2, n, 784)
    places = places.reshape(2, count, IMAGE_SIZE, IMAGE_SIZE)
    if config.elastic:
        places += _elastic_field(count, config, random)
    return places


def _linear_parts(count: int, config: AugmentationConfig, random: np.random.Generator) -> NDArray[np.float64]:
    """Compose flip, zoom, shear and rotation: float64 [n, 2, 2], from output offsets to input offsets."""
    angle = np.deg2rad(random.uniform(-config.rotation, config.rotation, count))
    shear = np.tan(np.deg2rad(random.uniform(-config.shear, config.shear, count)))
    zoom = random.uniform(1 - config.zoom, 1 + config.zoom, (count, 2))  # separately for x and y
    mirror = np.where(random.random((count, 2)) < 0.5, -1.0, 1.0)
    mirror[:, [not config.flip_horizontal, not config.flip_vertical]] = 1.0
    zeros, ones = np.zeros(count), np.ones(count)
    rotate = _matrices(np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle))
    skew = _matrices(ones, shear, zeros, ones)
    scale = _matrices(mirror[:, 0] / zoom[:, 0], zeros, zeros, mirror[:, 1] / zoom[:, 1])
    product: NDArray[np.float64] = scale @ skew @ rotate
    return product


def _matrices(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.stack([a, b, c, d], axis=-1).reshape(-1, 2, 2)


def _elastic_field(count: int, config: AugmentationConfig, random: np.random.Generator) -> NDArray[np.float32]:
    """Draw smooth displacements (Simard, Steinkraus & Platt 2003): float32 [2, n, 28, 28], pixels.

    White noise smoothed by a Gaussian along both axes, scaled so that its root mean square is `config.elastic`.
    """
    basis = _smooth_basis(config.elastic_smoothness)  # (28, r)
    rank = basis.shape[1]
    noise = random.standard_normal((2, count, rank, rank), dtype=np.float32)
    return np.asarray(basis @ noise @ basis.T * np.float32(config.elastic), dtype=np.float32)


@functools.cache
def _smooth_basis(sigma: float) -> NDArray[np.float32]:
    """Return B, float32 [28, r], such that B times white noise is Gaussian-smoothed white noise of variance 1.

    White noise stays white when it is rotated, so only the scaled left singular vectors of the smoothing matrix matter.
    Those with less than a millionth of the variance are dropped: for sigma = 4, 9 of 28 remain, and a field needs a
    tenth of the random numbers.
    """
    places = np.arange(IMAGE_SIZE)
    kernel = np.exp(-0.5 * ((places[:, None] - places[None, :]) / sigma) ** 2)
    kernel /= np.sqrt((kernel**2).sum(axis=1, keepdims=True))
    vectors, scales, _ = np.linalg.svd(kernel)
    kept = scales**2 > 1e-6 * (scales**2).sum()
    return np.asarray(vectors[:, kept] * scales[kept], dtype=np.float32)


def _resample(tall: NDArray[np.uint8], places: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Look up every place by bilinear interpolation: uint8 [n, 28, 28], with n at most `_STACK`.

    All images are stacked into one tall picture for a single call of OpenCV: the overhead of a call per image would
    exceed the resampling itself.

    Args:
        tall: uint8 [n * 30, 30], each image with a margin of one empty pixel.
        places: From `sampling_map`.
    """
    count = places.shape[1]
    # A place outside an image shows the image's own empty margin.
    x, y = np.clip(places + np.float32(_MARGIN), 0, _TILE - 1)
    y += (np.arange(count, dtype=np.float32) * _TILE)[:, None, None]
    rows = (count * IMAGE_SIZE, IMAGE_SIZE)
    resampled = cv2.remap(tall, x.reshape(rows), y.reshape(rows), cv2.INTER_LINEAR)
    return resampled.reshape(count, IMAGE_SIZE, IMAGE_SIZE).astype(np.uint8, copy=False)
