"""Printed lines: guide lines, boxes and their fragments, ruled paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.composition.paper.textures import clouds, happens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]  # [h, w]

_BITS = 4  # fractional bits of OpenCV's coordinates


class PrintedLines:
    """Collects printed lines: darkness [h, w], 0 (none) … 1."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.darkness: Plane = np.zeros(shape, np.float32)

    def line(self, start: tuple[float, float], end: tuple[float, float], darkness: float, width: int = 1) -> None:
        """Draw a line between two places (x, y), pixels; what is darker stays."""
        mask = np.zeros(self.darkness.shape, np.uint8)
        ends = [(round(x * 2**_BITS), round(y * 2**_BITS)) for x, y in (start, end)]
        cv2.line(mask, ends[0], ends[1], (255,), width, cv2.LINE_AA, _BITS)
        np.maximum(self.darkness, mask * np.float32(darkness / 255), out=self.darkness)


def guide_lines(shape: tuple[int, int], random: np.random.Generator) -> Plane:
    """Draw the printed lines of a cheque: along the bottom, the top and sometimes a side; float32 [h, w], 0 … 1."""
    height, width = shape
    sheet = PrintedLines(shape)
    if happens(0.55, random):
        _across(sheet, height - random.exponential(0.08) * height - 1, random)
    if happens(0.2, random):
        _across(sheet, random.exponential(0.1) * height, random)
    if happens(0.04, random):
        _across(sheet, random.uniform(0.2, 0.8) * height, random)
    if happens(0.12, random):
        x = random.choice([0, width]) + random.normal(0, 0.05) * width
        sheet.line((x, 0), (x + random.normal(0, 1), height), random.uniform(0.3, 0.9))
    return sheet.darkness


def _across(sheet: PrintedLines, y: float, random: np.random.Generator) -> None:
    """Draw a line over most of the width, solid or dashed."""
    width = sheet.darkness.shape[1]
    tilt = random.normal(0, 0.006)
    left = 0.0 if happens(0.7, random) else random.uniform(0, 0.5) * width
    right = width if happens(0.8, random) else random.uniform(0.5, 1) * width
    darkness = random.uniform(0.25, 0.9)
    if happens(0.25, random):
        step = random.uniform(2, 7)
        starts = np.arange(left, right, step)
        dash = step * random.uniform(0.3, 0.7)
        for start in starts:
            sheet.line((start, y + tilt * start), (start + dash, y + tilt * (start + dash)), darkness)
    else:
        sheet.line((left, y + tilt * left), (right, y + tilt * right), darkness)


def cell_borders(shape: tuple[int, int], random: np.random.Generator) -> Plane:
    """Draw what is seen of a cell's box, whole or in part, and corner marks: float32 [h, w], 0 … 1."""
    sheet = PrintedLines(shape)
    darkness = random.uniform(0.08, 0.5)
    inset = random.uniform(0, 0.12) * shape[0]
    whole = happens(0.45, random)
    for side in range(4):
        if whole or happens((0.4, 0.35, 0.75, 0.75)[side], random):  # left, top, right, bottom
            place = inset if whole else random.uniform(0, 0.15) * shape[0]
            _border(sheet, side, place + random.normal(0, 0.6), darkness * random.uniform(0.6, 1.3), random)
    if happens(0.25, random):
        _corner(sheet, random)
    if happens(0.5, random):  # worn print
        sheet.darkness *= np.clip(0.8 + 0.5 * clouds(shape, 4, random), 0, 1.3)
    return np.minimum(sheet.darkness, 1)


def _border(sheet: PrintedLines, side: int, inset: float, darkness: float, random: np.random.Generator) -> None:
    """Draw one side of a box, `inset` pixels from the edge: whole, a fragment, or doubled."""
    height, width = sheet.darkness.shape
    start, end = 0.0, 1.0
    if happens(0.25, random):
        start, end = np.sort(random.uniform(-0.3, 1.3, 2))
    for _ in range(1 + happens(0.08, random)):
        lean = random.normal(0, 0.6)
        if side in (0, 2):
            x = inset if side == 0 else width - 1 - inset
            sheet.line((x, start * height), (x + lean, end * height), darkness)
        else:
            y = inset if side == 1 else height - 1 - inset
            sheet.line((start * width, y), (end * width, y + lean), darkness)
        inset += random.uniform(1.5, 4)


def _corner(sheet: PrintedLines, random: np.random.Generator) -> None:
    """Draw a black mark where two lines of a form meet."""
    height, width = sheet.darkness.shape
    x = random.choice([0, width - 1]) + random.normal(0, 0.03) * width
    y = random.choice([0, height - 1]) + random.normal(0, 0.05) * height
    length = random.exponential(0.05) * height
    end = (x, y + length) if happens(0.5, random) else (x + length, y)
    sheet.line((x, y), end, random.uniform(0.3, 1), 1 + happens(0.2, random))


def ruled(shape: tuple[int, int], spacing: float, random: np.random.Generator) -> Plane:
    """Draw ruled paper: lines, squares, or Seyès (four lines to a row, with uprights); float32 [h, w], 0 … 1.

    Args:
        shape: Height and width, pixels.
        spacing: Distance between the main lines, pixels.
        random: Source of the draw.
    """
    height, width = shape
    sheet = PrintedLines(shape)
    darkness, tilt = random.uniform(0.1, 0.5), random.normal(0, 0.015)
    kind = random.integers(3)
    step = spacing / 4 if kind == 2 else spacing
    for index, y in enumerate(np.arange(-random.random() * spacing, height + spacing, max(step, 3))):
        faint = 0.45 if kind == 2 and index % 4 else 1.0
        sheet.line((0, y), (width, y + tilt * width), darkness * faint)
    if kind:
        for x in np.arange(-random.random() * spacing, width + spacing, max(spacing, 6)):
            sheet.line((x, 0), (x - tilt * height, height), darkness)
    return sheet.darkness
