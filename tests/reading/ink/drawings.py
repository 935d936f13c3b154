"""Digits drawn and photographed by arithmetic: strokes with known shapes on papers with known faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

STROKES = {  # in a unit square; a digit is one or more lines
    "2": [[(0.2, 0.2), (0.4, 0.05), (0.65, 0.1), (0.7, 0.3), (0.2, 0.9), (0.8, 0.9)]],
    "4": [[(0.4, 0.05), (0.2, 0.55), (0.85, 0.55)], [(0.65, 0.2), (0.6, 0.95)]],
    "5": [[(0.35, 0.15), (0.3, 0.45), (0.6, 0.45), (0.75, 0.7), (0.55, 0.95), (0.25, 0.9)], [(0.5, 0.1), (0.8, 0.06)]],
    "7": [[(0.2, 0.1), (0.75, 0.1), (0.45, 0.95)]],
}


def drawn(digit: str, side: int, pen: float) -> NDArray[np.float64]:
    """Draw a digit `side` pixels high with a pen of `pen` pixels; float [side, side], 1 where there is ink."""
    fine = np.zeros((4 * side, 4 * side), np.uint8)
    for line in STROKES[digit]:
        points = np.rint(np.array(line) * 4 * side).astype(np.int32)
        cv2.polylines(fine, [points], False, 255, max(1, round(4 * pen)), cv2.LINE_AA)
    return cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA) / 255


def placed(ink: NDArray[Any], height: int, width: int, row: float = 0.5, column: float = 0.5) -> NDArray[np.float64]:
    """Put ink on a larger sheet; `row` and `column` go from 0, one end, to 1, the other."""
    sheet = np.zeros((height, width))
    top, left = round((height - ink.shape[0]) * row), round((width - ink.shape[1]) * column)
    sheet[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return sheet


def grey(levels: NDArray[Any]) -> Grey:
    clipped: Grey = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return clipped


def ramp(height: int, width: int, low: float, high: float, down: bool = False) -> NDArray[np.float64]:
    line = np.linspace(low, high, height if down else width)
    return np.broadcast_to(line[:, None] if down else line, (height, width))


def vignette(height: int, width: int, middle: float, corner: float) -> NDArray[np.float64]:
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    return middle + (corner - middle) * (x * x + y * y) / 2


def noise(height: int, width: int, deviation: float, blur: float = 0) -> NDArray[np.float64]:
    grains: NDArray[Any] = np.random.default_rng(5).normal(size=(height, width))
    if blur:
        grains = cv2.GaussianBlur(grains, (0, 0), blur)
    scaled: NDArray[np.float64] = grains * (deviation / grains.std())
    return scaled


def ruled(height: int, width: int, step: int, level: float, thick: int, squared: bool = False) -> NDArray[np.float64]:
    """Return the share of light that ruled or squared paper reflects."""
    paper = np.ones((height, width))
    for start in range(thick):
        paper[step // 2 + start :: step] = level
        if squared:
            paper[:, step // 2 + start :: step] = level
    return paper


def jpeg(image: Grey, quality: int) -> Grey:
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: Any = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    return grey(decoded)


def _specks(ink: NDArray[Any]) -> Grey:
    image = grey(240 - 220 * placed(ink, 480, 480))
    for x, y in np.random.default_rng(5).integers(0, 480, (40, 2)).tolist():
        cv2.circle(image, (x, y), 2, 60, -1)
    return image


def _framed(ink: NDArray[Any]) -> Grey:
    return cv2.rectangle(grey(240 - 220 * placed(ink, 480, 480)), (8, 8), (471, 471), 0, 4).astype(np.uint8)


def _on_desk(ink: NDArray[Any]) -> Grey:
    desk = np.full((600, 600), 70.0)
    desk[60:560, 80:] = 220
    return grey(desk * (1 - 0.8 * placed(ink, 600, 600, 0.5, 0.6)) + noise(600, 600, 4))


def _boxed(ink: NDArray[Any], margin: int, beside: int = 0) -> Grey:
    """Draw a box of 3 pixels around a digit; `beside` is more paper below and on the right."""
    image = grey(240 - 220 * placed(ink, 400, 400))
    image = cv2.rectangle(image, (margin, margin), (399 - margin, 399 - margin), 30, 3).astype(np.uint8)
    return np.pad(image, ((0, beside), (0, beside)), constant_values=240)


def ruled_through(ink: NDArray[Any], share: float) -> Grey:
    """Draw lines on 480 × 480, one of them at a share of the digit's height."""
    first = round((480 - ink.shape[0]) / 2 + ink.shape[0] * share) % 60
    image = 240 - 220 * placed(ink, 480, 480)
    for row in range(first, 480, 60):
        image[row : row + 3] = np.minimum(image[row : row + 3], 110)
    return grey(image)


SCENES: dict[str, Callable[[NDArray[Any]], Grey]] = {  # of ink, float [h, w]
    "light on dark": lambda ink: grey(10 + 230 * placed(ink, 400, 400)),
    "low contrast": lambda ink: grey(30 * placed(ink, 400, 400)),
    "in a corner": lambda ink: grey(255 - 255 * placed(ink, 800, 1200, 0.05, 0.95)),
    "close to the border": lambda ink: grey(255 - 255 * placed(ink, ink.shape[0], ink.shape[1])),
    "gradient": lambda ink: grey(ramp(480, 480, 70, 240) * (1 - 0.75 * placed(ink, 480, 480)) + noise(480, 480, 3)),
    "faint in a gradient": lambda ink: grey(
        ramp(480, 480, 120, 240, down=True) * (1 - 0.3 * placed(ink, 480, 480)) + noise(480, 480, 3)
    ),
    "vignette": lambda ink: grey(vignette(480, 480, 230, 80) * (1 - 0.7 * placed(ink, 480, 480))),
    "noise": lambda ink: grey(180 - 120 * placed(ink, 480, 480) + noise(480, 480, 25)),
    "paper texture": lambda ink: grey(200 - 140 * placed(ink, 480, 480) + noise(480, 480, 8, blur=6)),
    "ruled paper": lambda ink: grey(225 * ruled(480, 480, 60, 0.75, 3) * (1 - 0.8 * placed(ink, 480, 480))),
    "squared paper": lambda ink: grey(225 * ruled(480, 480, 50, 0.6, 2, True) * (1 - 0.8 * placed(ink, 480, 480))),
    "compressed": lambda ink: jpeg(grey(230 - 160 * placed(ink, 480, 480)), 10),
    "out of focus": lambda ink: grey(cv2.GaussianBlur(230 - 160 * placed(ink, 480, 480), (0, 0), 5)),
    "specks": _specks,
    "frame": _framed,
    "on a dark desk": _on_desk,
    "in a box": lambda ink: _boxed(ink, 30),
    "in a box near the edge": lambda ink: _boxed(ink, 4),
    "in a form's field": lambda ink: _boxed(ink, 25, beside=150),
}

BLANKS: dict[str, Grey] = {
    "white": grey(np.full((400, 500), 255)),
    "black, MNIST's size": grey(np.zeros((28, 28))),
    "one pixel": grey(np.zeros((1, 1))),
    "noise": grey(128 + noise(300, 400, 20)),
    "noise, MNIST's size": grey(128 + noise(28, 28, 20)),
    "gradient": grey(ramp(300, 400, 60, 230) + noise(300, 400, 4)),
    "vignette": grey(vignette(400, 300, 230, 90) + noise(400, 300, 4)),
    "texture": grey(200 + noise(480, 480, 8, blur=6) + noise(480, 480, 4)),
    "ruled paper": grey(225 * ruled(480, 480, 60, 0.75, 3) + noise(480, 480, 3)),
    "squared paper": grey(225 * ruled(480, 480, 50, 0.75, 3, True) + noise(480, 480, 3)),
    "a speck": cv2.circle(np.full((400, 400), 230, np.uint8), (90, 300), 3, 60, -1).astype(np.uint8),
    "half in shadow": grey(np.where(np.arange(400) < 180, 110, 210) + noise(300, 400, 4)),
    "half black": grey(np.repeat([[30, 220]], 50, axis=1).repeat(100, axis=0)),
    "compressed": jpeg(grey(ramp(300, 300, 100, 200) + noise(300, 300, 5)), 30),
}


def ringed(ink: NDArray[Any], radii: tuple[float, float], pen: int, gap: float = 0, waver: float = 0) -> Grey:
    """Draw an ellipse around a digit, in pixels; `gap` (degrees) leaves it open, `waver` is a share of its radii."""
    angle = np.radians(np.linspace(gap / 2, 360 - gap / 2, 200) + 40)
    radius = 1 + waver * np.sin(2 * angle + 1) + waver / 2 * np.sin(3 * angle)
    points = 240 + np.stack([radii[0] * radius * np.cos(angle), radii[1] * radius * np.sin(angle)], axis=1)
    sheet = np.rint(255 * placed(ink, 480, 480)).astype(np.uint8)
    ring = cv2.polylines(sheet, [np.rint(points).astype(np.int32)], False, 255, pen, cv2.LINE_AA)
    return grey(240 - 220 * (ring / 255))


def on_desk(ink: NDArray[Any], desk: float, corners: NDArray[Any], light: float = 0) -> Grey:
    """Lay a sheet with a digit on a desk of 640 × 480 pixels, `light` brighter at its right end than at its left."""
    side = 300
    sheet = 230 - 200 * placed(ink, side, side)
    upright = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    view = cv2.getPerspectiveTransform(upright, corners.astype(np.float32))
    seen = cv2.warpPerspective(sheet, view, (640, 480), borderValue=desk)
    return grey(seen * ramp(480, 640, 1 - light / 2, 1 + light / 2) + noise(480, 640, 3))


def zero(height: int, pen: int, mark: str) -> Grey:
    """Draw a 0 on 480 × 480 with nothing, a dot or a slash in it, the slash from side to side or free within."""
    half = height // 2
    sheet = cv2.ellipse(np.full((480, 480), 240, np.uint8), (240, 240), (round(0.65 * half), half), 0, 0, 360, 20, pen)
    if mark == "dot":
        sheet = cv2.circle(sheet, (240, 240), pen * 2 // 3, 20, -1)
    if mark in ("slash", "free slash"):
        reach = 0.7 if mark == "slash" else 0.4
        x, y = round(reach * 0.65 * half), round(reach * half)
        sheet = cv2.line(sheet, (240 - x, 240 + y), (240 + x, 240 - y), 20, pen)
    return sheet.astype(np.uint8)
