"""Draw the sample pictures that come with the package, and the README's picture of how they are prepared.

No person wrote these digits: a program draws the pen strokes below on several kinds of paper and in several lights.

python scripts/draw_pictures.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_splprep

from mnist_cnn.cli import main as mnist_cnn
from mnist_cnn.reading.samples import SAMPLES

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "explanation.png"
EXPLAINED = ("ball-pen.jpg", "chalk.png", "corner.png", "cross.png")  # in the README's picture

# Points that a pen passes through, in a square of side 1, x to the right and y down; one list per stroke.
Pen: TypeAlias = list[list[tuple[float, float]]]
TWO: Pen = [
    [(0.2, 0.28), (0.3, 0.08), (0.58, 0.04), (0.74, 0.25), (0.55, 0.58), (0.3, 0.82), (0.16, 0.95), (0.2, 0.93)],
    [(0.17, 0.95), (0.4, 0.9), (0.62, 0.94), (0.84, 0.9)],
]
THREE: Pen = [
    [(0.2, 0.15), (0.5, 0.02), (0.75, 0.2), (0.45, 0.45), (0.78, 0.7), (0.5, 0.98), (0.15, 0.85)],
]
FOUR: Pen = [
    [(0.48, 0.02), (0.36, 0.26), (0.2, 0.52), (0.14, 0.62), (0.4, 0.62), (0.64, 0.59), (0.86, 0.58)],
    [(0.68, 0.3), (0.66, 0.5), (0.63, 0.74), (0.6, 0.99)],
]
FIVE: Pen = [
    [(0.3, 0.08), (0.27, 0.3), (0.25, 0.45), (0.6, 0.42), (0.75, 0.7), (0.5, 0.95), (0.15, 0.88)],
    [(0.3, 0.08), (0.5, 0.08), (0.7, 0.06), (0.8, 0.05)],
]
SIX: Pen = [
    [(0.66, 0.04), (0.42, 0.2), (0.24, 0.5), (0.22, 0.8), (0.45, 0.98), (0.7, 0.86), (0.7, 0.62), (0.48, 0.52),
     (0.26, 0.68)],
]  # fmt: skip
SEVEN: Pen = [
    [(0.15, 0.1), (0.45, 0.08), (0.82, 0.06), (0.6, 0.5), (0.42, 0.98)],
    [(0.3, 0.52), (0.5, 0.5), (0.72, 0.48), (0.8, 0.47)],
]
NINE: Pen = [
    [(0.72, 0.2), (0.5, 0.05), (0.26, 0.18), (0.26, 0.4), (0.48, 0.5), (0.7, 0.34), (0.74, 0.16), (0.71, 0.45),
     (0.64, 0.74), (0.5, 0.98)],
]  # fmt: skip
CROSS: Pen = [
    [(0.1, 0.1), (0.4, 0.4), (0.6, 0.6), (0.9, 0.9)],
    [(0.9, 0.1), (0.6, 0.4), (0.4, 0.6), (0.1, 0.9)],
]

Picture: TypeAlias = NDArray[np.uint8]  # grey [h, w], or blue, green and red [h, w, 3], as OpenCV writes them
Sheet: TypeAlias = NDArray[np.float64]  # the same as shares of full light


def main() -> None:
    """Draw all samples, then let `predict --explain` draw how it reads some of them."""
    pictures = {
        "ball-pen.jpg": ball_pen(THREE),
        "chalk.png": chalk(SEVEN),
        "corner.png": corner(FIVE),
        "cross.png": corner(CROSS),
        "felt-tip.jpg": felt_tip(TWO),
        "pencil.jpg": pencil(NINE),
        "white-on-black.png": white_on_black(SIX),
        "whiteboard.jpg": whiteboard(FOUR),
    }
    os.chdir(SAMPLES)  # so that the README's picture shows names without a path
    for name, picture in pictures.items():
        quality = [cv2.IMWRITE_JPEG_QUALITY, 82] if name.endswith(".jpg") else [cv2.IMWRITE_PNG_COMPRESSION, 9]
        cv2.imwrite(name, picture, quality)
    mnist_cnn(["predict", *EXPLAINED, "--explain", "--output", str(PICTURE)])


def ball_pen(pen: Pen) -> Picture:
    """Draw a thin blue line on ruled paper, photographed in the light of a lamp."""
    sheet = np.full((420, 420, 3), (0.9, 0.95, 0.97))
    sheet[40::62] = sheet[41::62] = (0.86, 0.78, 0.72)
    sheet[:, 46:48] = (0.62, 0.6, 0.9)
    strokes = place(ink(pen, 230, 5, pressure=0.35), sheet, top=96, left=112)
    return photograph(cover(sheet, strokes, (0.5, 0.2, 0.13)), lamp=(0.15, 0.1), dark=0.5, turn=3)


def felt_tip(pen: Pen) -> Picture:
    """Draw a broad black line on squared paper, photographed at an angle."""
    sheet = np.full((400, 400, 3), (0.94, 0.95, 0.95))
    for lines in (sheet, sheet.swapaxes(0, 1)):
        lines[20::26] = (0.9, 0.8, 0.74)
    strokes = place(ink(pen, 190, 17, pressure=0.1), sheet, top=110, left=100)
    return photograph(cover(sheet, strokes, (0.16, 0.13, 0.12)), lamp=(0.8, 0.2), dark=0.3, turn=-7, tilt=0.08)


def pencil(pen: Pen) -> Picture:
    """Draw a thin, pale line that skips over the grain of grey paper."""
    grain = smooth_noise((380, 340), 1.2, seed=3)
    sheet = np.repeat((0.66 + 0.012 * grain)[..., None], 3, axis=2)
    strokes = place(ink(pen, 200, 5, pressure=0.4), sheet, top=80, left=70)
    strokes *= np.clip(0.8 + 0.3 * grain, 0.25, 1)[..., None]
    return photograph(cover(sheet, strokes, (0.33, 0.33, 0.33)), lamp=(0.3, 0.9), dark=0.2, turn=-2)


def whiteboard(pen: Pen) -> Picture:
    """Draw a red marker's line on a board that reflects a window."""
    sheet = np.full((340, 420, 3), (0.93, 0.92, 0.9))
    strokes = place(ink(pen, 210, 12, pressure=0.15), sheet, top=70, left=110)
    written = cover(sheet, strokes, (0.2, 0.16, 0.78))
    y, x = np.mgrid[:340, :420]
    window = np.exp(-(((x - 330) / 90) ** 2) - ((y - 60) / 70) ** 2)[..., None]
    return photograph(written + 0.12 * window, lamp=(0.8, 0.1), dark=0.25, turn=1)


def chalk(pen: Pen) -> Picture:
    """Draw a broad, crumbly line on a dark board that was wiped before."""
    shape = (230, 280)
    grain, smears = smooth_noise(shape, 1.1, seed=1), smooth_noise(shape, 18, seed=2)
    strokes = np.pad(ink(pen, 180, 17, pressure=0.15), ((20, 30), (70, 30)))
    board = 46 + 6 * smears + 3 * grain
    dust = np.clip(0.82 + 0.28 * grain, 0.1, 1) * strokes
    levels = board + (232 - board) * dust
    return np.asarray(np.rint(levels / 12) * 12, np.uint8)  # fewer levels make a smaller file


def white_on_black(pen: Pen) -> Picture:
    """Draw a line on a dark screen with a finger."""
    return np.pad(ink(pen, 160, 14), 40)


def corner(pen: Pen) -> Picture:
    """Draw a small sign in the corner of a white canvas."""
    return np.asarray(255 - np.pad(ink(pen, 70, 7), ((150, 20), (30, 160))), np.uint8)


def ink(pen: Pen, side: int, width: float, pressure: float = 0) -> NDArray[np.uint8]:
    """Draw smooth strokes: uint8 [side, side], 255 where there is ink.

    Args:
        pen: The strokes.
        side: Height and width, pixels.
        width: Of the line, pixels.
        pressure: Share by which the line is thinner at the ends and in the fast parts of a stroke.
    """
    canvas = np.zeros((side * 4, side * 4), np.uint8)
    for stroke in pen:
        curve, _ = make_splprep(np.array(stroke).T, s=0)
        along = np.linspace(0, 1, 400)
        points = (curve(along).T * (side - width) + width / 2) * 4
        thinner = pressure * (0.5 + 0.5 * np.cos(2 * np.pi * along) * np.cos(5 * np.pi * along))
        for (x, y), radius in zip(points, width * 2 * (1 - thinner), strict=True):
            cv2.circle(canvas, (round(x), round(y)), round(radius), 255, cv2.FILLED)
    return np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def place(strokes: NDArray[np.uint8], sheet: Sheet, top: int, left: int) -> Sheet:
    """Put strokes on an empty sheet of the same size as another: shares of ink [h, w, 1]."""
    height, width = strokes.shape
    placed = np.zeros((*sheet.shape[:2], 1))
    placed[top : top + height, left : left + width, 0] = strokes / 255
    return placed


def cover(sheet: Sheet, strokes: Sheet, colour: tuple[float, float, float]) -> Sheet:
    """Let ink of a colour cover the sheet."""
    return sheet * (1 - strokes) + np.array(colour) * strokes


def photograph(sheet: Sheet, lamp: tuple[float, float], dark: float, turn: float, tilt: float = 0) -> Picture:
    """Photograph a sheet: turned, tilted, in uneven and warm light, not quite sharp, with the noise of a sensor.

    Args:
        sheet: What is on the desk.
        lamp: Where it is brightest: x and y as shares of the width and the height.
        dark: Share of the light that is lost at the other end.
        turn: Degrees, anticlockwise.
        tilt: Share of the width that the far end is narrower.
    """
    height, width = sheet.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    far = corners + np.array([[tilt * width, 0], [-tilt * width, 0], [0, 0], [0, 0]], np.float32)
    zoom = 1.12 + 2 * tilt  # the edges of the sheet stay outside of the picture
    turned = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
    view = np.vstack([turned, [0, 0, 1]]) @ cv2.getPerspectiveTransform(corners, far)
    seen = cv2.warpPerspective(sheet, view, (width, height), borderMode=cv2.BORDER_REFLECT)
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x / width - lamp[0], y / height - lamp[1])[..., None]
    light = (1 - dark * distance) * np.array([0.86, 0.95, 1.0])
    noise = smooth_noise((height, width), 0.7, seed=0)[..., None]
    return np.asarray((cv2.GaussianBlur(seen * light, (0, 0), 0.8) * 250 + 2 * noise).clip(0, 255), np.uint8)


def smooth_noise(shape: tuple[int, int], size: float, seed: int) -> Sheet:
    """Return noise with a standard deviation of 1, whose grains have about this size in pixels."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=shape), (0, 0), size)
    return np.asarray(noise / noise.std(), np.float64)


if __name__ == "__main__":
    main()
