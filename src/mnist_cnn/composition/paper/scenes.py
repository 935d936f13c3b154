"""Scenes: the places where a number is found, from a cheque's pattern to a blackboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.composition.paper import optics
from mnist_cnn.composition.paper.ink import deposit, ghost, intruders
from mnist_cnn.composition.paper.patterns import pattern
from mnist_cnn.composition.paper.rules import cell_borders, guide_lines, ruled
from mnist_cnn.composition.paper.textures import clouds, grain, happens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]  # [h, w]
    Scene = Callable[[Plane, float, np.random.Generator], NDArray[np.uint8]]


def picture(coverage: Plane, digit_height: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Put strokes into a random scene.

    Args:
        coverage: float32 [h, w], 0 … 1, share of ink in each pixel.
        digit_height: Nominal height of the digits, pixels of `coverage`.
        random: Source of the draws.

    Returns:
        uint8 [h', w'] at the resolution of the scene. It shows the same field: relative coordinates stay valid.
    """
    return choose_scene(random)(coverage, digit_height, random)


def choose_scene(random: np.random.Generator, shares: Mapping[Scene, float] | None = None) -> Scene:
    """Choose a scene.

    Args:
        random: Source of the draw.
        shares: The scenes to choose from, each with its share of the pictures; None for all, with the usual ones.
    """
    scenes = list(shares or SCENES)
    bounds = np.cumsum(list((shares or SCENES).values()))
    return scenes[int(np.searchsorted(bounds, random.random() * bounds[-1], side="right"))]


def _scaled(coverage: Plane, scale: float, low: int, high: int) -> Plane:
    """Resize by `scale`, but to a height of `low` … `high` pixels."""
    height = round(min(max(coverage.shape[0] * scale, low), high))
    size = (max(8, round(coverage.shape[1] * height / coverage.shape[0])), height)
    shrinks = size[1] < coverage.shape[0]
    resized = cv2.resize(coverage, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    if not shrinks:  # enlarged edges are soft
        resized = np.clip(resized * 2 - 0.5, 0, 1)
    return resized  # type: ignore[return-value]


def cheque(coverage: Plane, digit_height: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """A grey scan of a cheque's amount: security print, guide lines, over-sharpened, JPEG."""
    fine = _scaled(coverage, random.uniform(18, 46) / digit_height, 35, 75)
    paper = _security_paper(fine.shape, random)
    if happens(0.6, random):
        paper *= 1 - guide_lines(fine.shape, random)
    if happens(0.08, random):
        paper *= 1 - 0.6 * intruders(fine, random)
    depth = random.uniform(0.45, 0.85) if happens(0.85, random) else random.uniform(0.85, 1)
    light = paper * (1 - depth * optics.blur(deposit(fine, random), random.uniform(0.2, 0.9)))
    light = optics.blur(light, random.uniform(0.25, 0.65))
    light = optics.noise(light, random.uniform(0, 0.015), 0.5, random)
    if happens(0.7, random):
        light = optics.sharpen(light, random.uniform(0.1, 0.8), random.uniform(0.7, 1.5))
    return _stored(light, random, 0.9, (60, 92), 0.8)


def _security_paper(shape: tuple[int, int], random: np.random.Generator) -> Plane:
    """Draw patterned paper, sometimes with a plain band along the top: float32 0 … 1."""
    tone, contrast = random.uniform(0.6, 0.88), random.beta(3, 4) * 0.52
    printed = pattern(shape, random)
    if happens(0.15, random):
        edge = round(random.uniform(0.03, 0.35) * shape[0])
        printed[:edge] *= random.uniform(0, 0.3)
        printed[edge:] += random.uniform(0, 0.5)
    paper = tone * (1 - contrast * printed)
    if happens(0.4, random):
        paper *= 1 + random.uniform(0.01, 0.06) * clouds(shape, 3, random)
    return paper


def ledger(coverage: Plane, digit_height: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """A small photo of a table's cell: faint pencil, borders of the box, blur, smudges."""
    fine = _scaled(coverage, random.uniform(11, 24) / digit_height, 26, 40)
    paper = np.float32(random.uniform(0.56, 0.95)) * optics.uneven_light(fine.shape, 0.02, random)
    if happens(0.5, random):
        paper *= optics.creases(fine.shape, random.uniform(0.005, 0.03), random)
    if happens(0.06, random):
        paper *= random.uniform(0.35, 0.7)
    paper *= 1 - cell_borders(fine.shape, random) if happens(0.85, random) else 1
    depth = random.uniform(0.2, 0.65) if happens(0.8, random) else random.uniform(0.07, 0.95)
    amount = deposit(fine, random)
    if happens(0.2, random):
        amount = np.maximum(amount, random.uniform(0.1, 0.35) * ghost(fine, random))
    if happens(0.15, random):
        amount = np.maximum(amount, random.uniform(0.5, 1) * intruders(fine, random))
    light = optics.blur(paper * (1 - depth * amount), random.uniform(0.4, 0.9))
    light = optics.noise(light, random.uniform(0, 0.008), 0.5, random)
    if happens(0.6, random):
        light = optics.sharpen(light, random.uniform(0.2, 1.0), random.uniform(0.8, 2))
    return _stored(light, random, 0.9, (75, 98), 0.88)


def scan(coverage: Plane, digit_height: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """A clean scan of plain paper, sometimes in black and white."""
    fine = _scaled(coverage, random.uniform(14, 70) / digit_height, 26, 110)
    paper = np.float32(random.uniform(0.8, 1.0))
    amount = deposit(fine, random)
    if happens(0.1, random):
        amount = np.maximum(amount, random.uniform(0.05, 0.2) * ghost(fine, random))
    light = paper * (1 - random.uniform(0.3, 1) * amount)
    if happens(0.3, random):
        light *= 1 - guide_lines(fine.shape, random)
    light = optics.blur(light, random.uniform(0, 0.7))
    light = optics.noise(light, random.uniform(0, 0.03), _GRAIN_SIZES[random.integers(3)], random)
    if happens(0.2, random):
        return optics.binarise(optics.levels(light), random)
    return _stored(light, random, 0.6)


def photo(coverage: Plane, digit_height: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """A photo of paper, plain or ruled, in uneven light."""
    fine = _scaled(coverage, np.exp(random.uniform(3, 4.6)) / digit_height, 30, 150)
    height = fine.shape[0]
    digit = digit_height * height / coverage.shape[0]  # pixels
    paper = np.float32(random.uniform(0.5, 0.95)) * optics.uneven_light(fine.shape, random.uniform(0, 0.12), random)
    if happens(0.4, random):
        paper *= 1 - ruled(fine.shape, digit * random.uniform(0.5, 2), random)
    depth = random.uniform(0.25, 0.97)
    light = paper * (1 - depth * deposit(fine, random))
    if happens(0.25, random):
        light *= optics.shadow(fine.shape, random)
    light = optics.blur(light, min(random.exponential(0.012 * height), 0.12 * digit))
    if happens(0.1, random):
        light = optics.motion(light, random.uniform(1.5, 0.05 * height + 1.5), random)
    light = optics.noise(light, random.uniform(0, 0.06 * depth), _GRAIN_SIZES[random.integers(4)], random)
    return _stored(light, random, 0.9)


def screen(coverage: Plane, digit_height: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """A drawing made on a screen: flat, of either polarity, antialiased or not."""
    fine = _scaled(coverage, random.uniform(14, 80) / digit_height, 26, 128)
    if happens(0.3, random):
        fine = (fine > 0.5).astype(np.float32)
    elif happens(0.3, random):
        fine = optics.blur(fine, random.uniform(0.3, 0.03 * fine.shape[0]))
    ink, paper = _SCREEN_COLOURS[random.integers(len(_SCREEN_COLOURS))]
    ink += (paper - ink) * (random.uniform(0, 0.75) if happens(0.4, random) else 0)
    return _stored(paper + (ink - paper) * fine, random, 0.2)


def board(coverage: Plane, digit_height: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Chalk on a blackboard, or light ink on dark paper."""
    fine = _scaled(coverage, random.uniform(18, 80) / digit_height, 30, 128)
    board = np.float32(random.uniform(0.05, 0.3)) * optics.uneven_light(fine.shape, 0.1, random)
    chalk = deposit(fine, random) * np.clip(0.85 + 0.3 * grain(fine.shape, 0.5, random), 0, 1)
    smear = random.uniform(0, 0.15) * optics.blur(fine, 0.06 * fine.shape[0])
    light = board + (random.uniform(0.5, 0.95) - board) * np.maximum(chalk, smear)
    light = optics.noise(optics.blur(light, random.uniform(0, 0.8)), random.uniform(0, 0.03), 0.5, random)
    return _stored(light, random, 0.8)


def bare(coverage: Plane, digit_height: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Light ink on a black ground, as it is: MNIST's own pictures, and what programs make of them."""
    return np.rint(coverage * 255).astype(np.uint8)


def _stored(
    light: Plane, random: np.random.Generator, lossy: float, good: tuple[int, int] = (70, 96), usual: float = 0.65
) -> NDArray[np.uint8]:
    """Round to grey levels; with probability `lossy` through JPEG, a share `usual` of it at a `good` quality."""
    grey = optics.levels(light)
    if happens(lossy, random):
        low, high = good if happens(usual, random) else (20, 70)
        return optics.jpeg(grey, int(random.integers(low, high)))
    return grey


_GRAIN_SIZES = (0.0, 0.5, 1.0, 2.0)  # pixels
_SCREEN_COLOURS = ((0.0, 1.0), (0.0, 1.0), (0.1, 0.9), (1.0, 0.0), (0.95, 0.15))  # ink and background

# Each scene with its share of the pictures.
SCENES: dict[Scene, float] = {
    cheque: 0.32,
    ledger: 0.36,
    scan: 0.11,
    photo: 0.11,
    screen: 0.07,
    board: 0.03,
}
