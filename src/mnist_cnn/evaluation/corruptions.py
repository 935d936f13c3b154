"""MNIST-C: fifteen corruptions that people still read through. They evaluate a network, and never train one.

Source: Mu & Gilmer 2019, "MNIST-C: A Robustness Benchmark for Computer Vision", https://arxiv.org/abs/1906.02337, with
the severities of the published data set (https://github.com/google-research/mnist-c). The functions are written anew:
they take many images at once and any number generator, so single pixels differ from the published files. What else
differs is said in their docstrings.

Every function takes uint8 [n, 28, 28], light ink on black, and a generator, and returns new images of the same form.
With equal generators, it returns equal images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from mnist_cnn.reading.conventions import IMAGE_SIZE

Images = NDArray[np.uint8]
Levels: TypeAlias = "NDArray[np.floating[Any]]"  # [n, 28, 28], 0 for black to 1 for white
Generator = np.random.Generator
Corruption: TypeAlias = "Callable[[Images, Generator], Images]"

_CENTRE = (IMAGE_SIZE - 1) / 2
_PHOTONS = 3  # of shot noise, for white
_IMPULSES = 0.17  # share of the pixels
_GLASS_SIGMA, _GLASS_ROUNDS = 0.7, 2
_MOTION_TAPS, _MOTION_SIGMA, _MOTION_ANGLE = 21, 3.0, 45.0  # pixels, pixels, degrees to each side
_ANGLE = 0.4  # radians, of shear and rotation
_SMALLER = 0.7  # scale
_LIGHTER = 0.5  # of white
_SHIFT = 3  # pixels, along both axes
_STRIPE = 7  # columns on each side
_FOG, _FOG_DECAY, _FOG_SIZE = 3.0, 1.4, 256
_FOG_BATCH = 8  # images: their maps fit into the processor's cache, which is four times as fast
_MUD_MEAN, _MUD_DEVIATION, _MUD_LEAST, _MUD_LEVEL = 0.65, 0.3, 0.65, 63 / 255
_MUD_SMOOTH, _MUD_EDGE, _MUD_DENSE = 1.0, 1.5, 0.8
_LINE_REACH = 2.3  # pixels from the middle of a line to where its brightness would be minus infinity
_EDGE_SIGMA, _EDGE_LOW, _EDGE_HIGH = 1.0, 25.5, 51.0  # pixels, and gradients of Sobel's filter


def shot_noise(images: Images, generator: Generator) -> Images:
    """Count photons, of which white sends three: the light of a very dark room."""
    return _pixels(generator.poisson(_levels(images) * _PHOTONS) / _PHOTONS)


def impulse_noise(images: Images, generator: Generator) -> Images:
    """Turn 17 % of the pixels black or white: salt and pepper."""
    is_hit = generator.random(images.shape) < _IMPULSES
    impulses = np.where(generator.random(images.shape) < 0.5, np.uint8(0), np.uint8(255))
    return np.where(is_hit, impulses, images)


def glass_blur(images: Images, generator: Generator) -> Images:
    """Blur, swap neighbouring pixels at random, and blur again, as frosted glass does.

    Like the published images, they are blurred along their columns only.
    """
    shuffled = _blurred_columns(images)
    every = np.arange(len(images))
    for _ in range(_GLASS_ROUNDS):
        for row in range(IMAGE_SIZE - 1, 1, -1):
            for column in range(IMAGE_SIZE - 1, 1, -1):
                up, left = generator.integers(0, 2, (2, len(images))) * generator.integers(0, 2, len(images))
                here = shuffled[:, row, column].copy()
                shuffled[:, row, column] = shuffled[every, row - up, column - left]
                shuffled[every, row - up, column - left] = here
    return _blurred_columns(shuffled)


def _blurred_columns(images: Images) -> Images:
    return _pixels(gaussian_filter(_levels(images), (0, _GLASS_SIGMA, 0), mode="nearest"))


def motion_blur(images: Images, generator: Generator) -> Images:
    """Smear images in one direction, up to 45° from the horizontal.

    The published images were made with ImageMagick. Its kernel is half of a Gaussian (sigma 3 pixels) that begins at
    the pixel, in 21 steps to whole pixels, and the same is computed here with OpenCV.
    """
    angles = np.deg2rad(generator.uniform(-_MOTION_ANGLE, _MOTION_ANGLE, len(images)))
    kernels = [_motion_kernel(angle) for angle in angles]
    smeared = [cv2.filter2D(*pair, borderType=cv2.BORDER_REPLICATE) for pair in _each(images, -1, kernels)]
    return np.array(smeared, np.uint8).reshape(images.shape)


def _each(images: Images, depth: int, kernels: list[Levels]) -> Iterator[tuple[Any, int, Any]]:
    return ((image, depth, kernel) for image, kernel in zip(images, kernels, strict=True))


def _motion_kernel(angle: float) -> Levels:
    steps = np.arange(_MOTION_TAPS)
    kernel: Levels = np.zeros((2 * _MOTION_TAPS - 1,) * 2)
    rows, columns = (np.rint(steps * part).astype(int) + _MOTION_TAPS - 1 for part in (np.sin(angle), np.cos(angle)))
    np.add.at(kernel, (rows, columns), np.exp(-(steps**2) / (2 * _MOTION_SIGMA**2)))
    kernel /= kernel.sum()
    return kernel


def shear(images: Images, generator: Generator) -> Images:
    """Shear by 0.4 radians to the left or right."""
    angles = _ANGLE * _signs(generator, len(images))
    return _warped(images, [np.array([[1, -np.sin(angle)], [0, np.cos(angle)]]) for angle in angles])


def scale(images: Images, _generator: Generator) -> Images:
    """Shrink to 70 %."""
    return _warped(images, [np.eye(2) / _SMALLER] * len(images))


def rotate(images: Images, generator: Generator) -> Images:
    """Rotate by 0.4 radians, 23°, to the left or right."""
    angles = _ANGLE * _signs(generator, len(images))
    cosines, sines = np.cos(angles), np.sin(angles)
    return _warped(images, list(np.array([[cosines, -sines], [sines, cosines]]).transpose(2, 0, 1)))


def brightness(images: Images, _generator: Generator) -> Images:
    """Add half of white to all levels."""
    return _pixels(_levels(images) + _LIGHTER)


def translate(images: Images, generator: Generator) -> Images:
    """Move by 3 pixels along both axes, towards one of the four corners."""
    shifts = _SHIFT * _signs(generator, (len(images), 2))
    return _warped(images, [np.eye(2)] * len(images), shifts)


def stripe(images: Images, _generator: Generator) -> Images:
    """Invert the outer quarters, left and right."""
    striped = images.copy()
    for side in (np.s_[:, :, :_STRIPE], np.s_[:, :, -_STRIPE:]):
        striped[side] = 255 - striped[side]
    return striped


def fog(images: Images, generator: Generator) -> Images:
    """Add clouds, up to three times as bright as white, and scale the result to the former maximum."""
    levels = _levels(images)
    batches = range(0, len(images), _FOG_BATCH)
    clouds = [_clouds(len(levels[start : start + _FOG_BATCH]), generator) for start in batches]
    brightest = levels.max(axis=(1, 2), keepdims=True)
    foggy = levels + _FOG * np.concatenate([np.empty((0, IMAGE_SIZE, IMAGE_SIZE)), *clouds])
    return _pixels(foggy * brightest / (brightest + _FOG))


def _clouds(count: int, generator: Generator) -> Levels:
    """Generate fractal height maps by the diamond-square algorithm, and return the corners of them.

    Returns:
        [count, 28, 28], 0 to 1 for the lowest and highest place of the whole map, 256×256, which repeats at its sides.
    """
    heights = np.zeros((count, _FOG_SIZE, _FOG_SIZE), np.float32)
    step, wobble = _FOG_SIZE, 1.0

    def between(total: Levels) -> Levels:
        return total / 4 + np.float32(wobble) * (2 * generator.random(total.shape, np.float32) - 1)

    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        across = corners + np.roll(corners, -1, axis=2)
        down = corners + np.roll(corners, -1, axis=1)
        middles = between(across + np.roll(across, -1, axis=1))
        heights[:, half::step, half::step] = middles
        heights[:, ::step, half::step] = between(middles + np.roll(middles, 1, axis=1) + across)
        heights[:, half::step, ::step] = between(middles + np.roll(middles, 1, axis=2) + down)
        step, wobble = half, wobble / _FOG_DECAY**2
    low, high = (edge(axis=(1, 2), keepdims=True) for edge in (heights.min, heights.max))
    clouds: Levels = (heights[:, :IMAGE_SIZE, :IMAGE_SIZE] - low) / (high - low)
    return clouds


def spatter(images: Images, generator: Generator) -> Images:
    """Splash the image with dark grey mud, which hides the ink below it."""
    noise = generator.normal(_MUD_MEAN, _MUD_DEVIATION, images.shape)
    is_wet = gaussian_filter(noise, (0, _MUD_SMOOTH, _MUD_SMOOTH), mode="nearest") > _MUD_LEAST
    mud = gaussian_filter(is_wet.astype(np.float64), (0, _MUD_EDGE, _MUD_EDGE), mode="nearest")
    mud[mud < _MUD_DENSE] = 0
    return _pixels(_levels(images) * (1 - mud) + _MUD_LEVEL * mud)


def dotted_line(images: Images, generator: Generator) -> Images:
    """Draw a straight line of dots from the left to the right side, at any slope."""
    starts, ends = generator.integers(0, IMAGE_SIZE - 1, (2, len(images)))
    lines = _lines(np.zeros(len(images)), starts, np.full(len(images), IMAGE_SIZE - 1), ends)
    lines[:, :, np.arange(IMAGE_SIZE) % 4 < 2] = 0  # two columns of each four
    return _pixels(_levels(images) + lines)


def zigzag(images: Images, generator: Generator) -> Images:
    """Draw a zigzag across, in steps of two pixels along it and two to each side."""
    count = len(images)
    first, last = 2, IMAGE_SIZE - 3  # columns
    starts = generator.integers(0, IMAGE_SIZE - 1, count)
    slopes = np.arctan(generator.integers(-5, 5, count) / (last - first))
    lengths = (last - first) / np.cos(slopes)  # 23.0 to 23.6
    turns = np.arange(int((last - first) / 4) + 1)
    along = np.stack([np.zeros(count), *np.tile(4 * turns[:, np.newaxis] + 2.0, count), lengths])
    side = np.stack([np.zeros(count), *np.tile(2.0 * (-1.0) ** turns[:, np.newaxis], count), 1 / (20 - lengths)])
    columns = first + along * np.cos(slopes) - side * np.sin(slopes)
    rows = starts + along * np.sin(slopes) + side * np.cos(slopes)
    levels = _levels(images)
    for begin in range(len(columns) - 1):
        levels += _lines(columns[begin], rows[begin], columns[begin + 1], rows[begin + 1])
    return _pixels(levels)


def _lines(columns: Levels, rows: Levels, end_columns: Levels, end_rows: Levels) -> Levels:
    """Draw one soft line, about 3 pixels wide, in each of n images; all arguments are [n], in pixels.

    Returns:
        [n, 28, 28], 0 to 1.
    """
    ends = (each[:, np.newaxis, np.newaxis] for each in (columns, rows, end_columns, end_rows))
    columns, rows, end_columns, end_rows = ends
    y, x = np.ogrid[:IMAGE_SIZE, :IMAGE_SIZE]
    distances = np.abs(y - rows - (end_rows - rows) / (end_columns - columns) * (x - columns))
    lines: Levels = (np.log(1 - np.minimum(distances / _LINE_REACH, 1 - 1e-9)) + 1).clip(0, 1)
    return lines * ((x >= np.floor(columns)) & (x < np.ceil(end_columns)))


def canny_edges(images: Images, _generator: Generator) -> Images:
    """Keep only the outlines of the strokes (Canny 1986), white on black.

    OpenCV rounds the direction of an edge to 45°, where scikit-image, which made the published images, interpolates.
    """
    smooth = [cv2.GaussianBlur(image, (0, 0), _EDGE_SIGMA) for image in images]
    edges = [cv2.Canny(image, _EDGE_LOW, _EDGE_HIGH, L2gradient=True) for image in smooth]
    return np.array(edges, np.uint8).reshape(images.shape)


CORRUPTIONS: Mapping[str, Corruption] = {
    corruption.__name__: corruption
    for corruption in (
        shot_noise,
        impulse_noise,
        glass_blur,
        motion_blur,
        shear,
        scale,
        rotate,
        brightness,
        translate,
        stripe,
        fog,
        spatter,
        dotted_line,
        zigzag,
        canny_edges,
    )
}  #: all of them by name, in the order of the paper


def _levels(images: Images) -> Levels:
    return images / 255


def _pixels(levels: Levels) -> Images:
    return (levels.clip(0, 1) * 255).round().astype(np.uint8)


def _signs(generator: Generator, shape: Any) -> NDArray[np.int64]:
    signs: NDArray[np.int64] = 2 * generator.integers(0, 2, shape) - 1
    return signs


def _warped(images: Images, maps: list[Any], shifts: Any = 0) -> Images:
    """Move pixels: the one at p, counted from the centre, is taken from map · p + shift; black comes in at the sides.

    Args:
        images: [n, 28, 28].
        maps: [2, 2] for each, in the order x, y.
        shifts: [n, 2] pixels in the same order, or 0.
    """
    shifts = np.broadcast_to(shifts, (len(images), 2))
    centre = np.full(2, _CENTRE)
    matrices = [np.column_stack([each, centre - each @ centre + move]) for each, move in zip(maps, shifts, strict=True)]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = [
        cv2.warpAffine(image, matrix, (IMAGE_SIZE, IMAGE_SIZE), flags=how)
        for image, matrix in zip(images, matrices, strict=True)
    ]
    return np.array(warped, np.uint8).reshape(images.shape)
