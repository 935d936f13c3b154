"""Pictures in which a whole number is small: drawing canvases, sheets of paper, desks, boards, pages of a form."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from mnist_cnn.composition.composer import draw_text
from mnist_cnn.composition.hands import Hand
from mnist_cnn.composition.paper import optics
from mnist_cnn.composition.paper.ink import deposit
from mnist_cnn.composition.paper.rules import ruled
from mnist_cnn.composition.writing import Point, WrittenLine, compose_line
from number_pictures import SEED, Labelled, Pixels

Plane = NDArray[np.float32]  # [h, w]

LONGER_SIDE = (300, 4000)  # pixels
MOSTLY_SHORT = 2.0  # exponent of the draw between them: large pictures take long to compose
SHARE = (0.02, 0.3)  # of the picture's height: the digits
LEGIBLE = 18.0  # pixels, height of the smallest digits
ROOM = 0.9  # share of the picture's width that a number may fill
LEVEL, TILT = 2.0, 15.0  # degrees, the most


def pages(count: int) -> Iterator[tuple[str, list[Labelled]]]:
    """Yield two sets of `count` pictures: with a number that is about level, and with a tilted one."""
    for name, tilt in (("small on a page", LEVEL), ("tilted on a page", TILT)):
        random = np.random.default_rng(SEED + round(tilt))
        yield name, [page(random, tilt) for _ in range(count)]


def two_lines(count: int) -> tuple[str, list[Labelled]]:
    """Return a set of `count` pictures of two numbers, one below the other."""
    random = np.random.default_rng(SEED)
    return "two lines on a page", [page(random, LEVEL, lines=2) for _ in range(count)]


def page(random: np.random.Generator, tilt: float = 0.0, lines: int = 1) -> Labelled:
    """Compose one picture.

    Args:
        random: Source of the draws.
        tilt: Most degrees by which the number is turned.
        lines: Numbers below each other; the picture's text is empty if there are several.
    """
    hand = Hand.random(random)
    written = [compose_line(draw_text(random), hand.write, _closely, random, clean=True) for _ in range(lines)]
    least, most = LONGER_SIDE
    longer = least * (most / least) ** (random.random() ** MOSTLY_SHORT)
    shape = (round(longer * random.uniform(0.5, 1)), round(longer))
    shape = shape[::-1] if random.random() < 0.3 else shape
    height = max(LEGIBLE, math.exp(random.uniform(*np.log(SHARE))) * shape[0])
    coverage, height = _placed(written, shape, height, math.radians(random.uniform(-tilt, tilt)), random)
    if height < LEGIBLE:  # a long number in a narrow picture
        return page(random, tilt, lines)
    place = PLACES[int(random.integers(len(PLACES)))]
    return Labelled(place(coverage, height, random), written[0].text if lines == 1 else "")


def _closely(low: Point, high: Point, random: np.random.Generator) -> tuple[Point, Point]:
    return low - 0.15, high + 0.15


def _placed(
    lines: list[WrittenLine], shape: tuple[int, int], height: float, angle: float, random: np.random.Generator
) -> tuple[Plane, float]:
    """Put written numbers below each other, anywhere on a page.

    Returns:
        float32 [h, w], the share of ink in each pixel; and the digits' height, which is lower than
        asked for if the numbers would be too wide.
    """
    block = _below_each_other([line.coverage for line in lines], lines[0].digit_height)
    scale = height / lines[0].digit_height
    cos, sin = math.cos(angle), math.sin(angle)
    extent = np.array([[cos, abs(sin)], [abs(sin), cos]]) @ block.shape[::-1] * scale  # across and down
    fitting = min(1.0, *(ROOM * np.array(shape[::-1]) / extent))
    scale, extent = scale * fitting, extent * fitting
    centre = extent / 2 + random.random(2) * (np.array(shape[::-1]) - extent)
    turn = scale * np.array([[cos, -sin], [sin, cos]])
    move = centre - turn @ (np.array(block.shape[::-1]) / 2)
    if scale < 1:  # linear interpolation would skip pixels
        block = optics.blur(block, 0.4 / scale)
    placed: Plane = cv2.warpAffine(block, np.column_stack([turn, move]), shape[::-1])  # type: ignore[assignment]
    return placed, height * fitting


def _below_each_other(blocks: list[Plane], digit_height: float) -> Plane:
    width = max(block.shape[1] for block in blocks)
    gap = round(0.5 * digit_height)
    return np.concatenate([np.pad(block, ((0, gap), (0, width - block.shape[1]))) for block in blocks])[:-gap]


def _canvas(coverage: Plane, height: float, random: np.random.Generator) -> Pixels:
    """A drawing program's canvas, flat, of either polarity."""
    ink, paper = ((0.0, 1.0), (0.2, 0.95), (1.0, 0.0), (0.9, 0.15))[random.integers(4)]
    return optics.levels(np.asarray(paper + (ink - paper) * coverage, np.float32))


def _sheet(coverage: Plane, height: float, random: np.random.Generator) -> Pixels:
    """A photo of nothing but paper, plain or ruled, in uneven light."""
    return _photographed(_written_on_paper(coverage, height, random), height, random)


def _desk(coverage: Plane, height: float, random: np.random.Generator) -> Pixels:
    """A photo of a sheet of paper on a desk, lighter or darker than the sheet, seen at one to four of its sides."""
    picture = _written_on_paper(coverage, height, random)
    rows, columns = (np.flatnonzero(coverage.max(axis=axis) > 0.1) for axis in (1, 0))
    room = [columns[0], rows[0], coverage.shape[1] - columns[-1], coverage.shape[0] - rows[-1]]
    left, top, right, bottom = (
        round(random.uniform(0, 1) * max(0, side - 0.4 * height)) if random.random() < 0.6 else -9 for side in room
    )
    down, across = coverage.shape
    skew = random.normal(0, 0.01 * max(coverage.shape), (4, 2))
    corners = np.array([[left, top], [across - right, top], [across - right, down - bottom], [left, down - bottom]])
    whole = corners + np.clip(skew, -0.3 * height, 0.3 * height) * ((corners > 0) & (corners < [across, down]))
    on_sheet = cv2.fillPoly(np.zeros(coverage.shape, np.uint8), [np.rint(whole).astype(np.int32)], (1,))
    desk = random.uniform(0.05, 0.5) * optics.uneven_light(coverage.shape, 0.1, random)
    return _photographed(np.where(on_sheet > 0, picture, desk).astype(np.float32), height, random)


def _board(coverage: Plane, height: float, random: np.random.Generator) -> Pixels:
    """Chalk on a blackboard."""
    board = np.float32(random.uniform(0.05, 0.3)) * optics.uneven_light(coverage.shape, 0.08, random)
    light = board + (np.float32(random.uniform(0.6, 0.95)) - board) * deposit(coverage, random)
    return _photographed(light, height, random)


def _form(coverage: Plane, height: float, random: np.random.Generator) -> Pixels:
    """A scanned page with a printed box around the number, lines across the page, and dust."""
    paper, depth = np.float32(random.uniform(0.85, 1)), np.float32(random.uniform(0.5, 0.95))
    light = paper * (1 - depth * deposit(coverage, random))
    thickness = max(1, round(0.04 * height))
    rows, columns = (np.flatnonzero(coverage.max(axis=axis) > 0.1) for axis in (1, 0))
    room = np.array([0.5, 0.25]) * height
    corners = [np.array([columns[0], rows[0]]) - room, np.array([columns[-1], rows[-1]]) + room]
    first, last = (tuple(np.rint(corner).astype(int).tolist()) for corner in corners)
    if random.random() < 0.5:
        cv2.rectangle(light, first, last, (0.3,), thickness)
    else:
        cv2.line(light, (first[0], last[1]), last, (0.3,), thickness)
    for _ in range(int(random.integers(0, 12))):
        x, y = random.random(2) * coverage.shape[::-1]
        cv2.circle(light, (int(x), int(y)), max(1, round(random.uniform(0.01, 0.06) * height)), (0.4,), cv2.FILLED)
    return optics.levels(optics.noise(light, random.uniform(0, 0.02), 0.5, random))


def _written_on_paper(coverage: Plane, height: float, random: np.random.Generator) -> Plane:
    paper = np.full(coverage.shape, random.uniform(0.6, 0.95), np.float32)
    if random.random() < 0.3:
        paper *= 1 - ruled(coverage.shape, height * random.uniform(1.2, 2), random)
    return paper * (1 - np.float32(random.uniform(0.4, 0.95)) * deposit(coverage, random))


def _photographed(light: Plane, height: float, random: np.random.Generator) -> Pixels:
    light = light * optics.uneven_light(light.shape, random.uniform(0, 0.15), random)
    if random.random() < 0.4:
        light *= optics.shadow(light.shape, random)
    light = optics.blur(light, random.uniform(0, 0.02) * height)
    light = optics.noise(light, random.uniform(0, 0.03), 1.0, random)
    return optics.jpeg(optics.levels(light), int(random.integers(60, 96)))


PLACES = (_canvas, _sheet, _desk, _desk, _board, _form)
