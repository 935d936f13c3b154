"""Draw the README's picture of how an image is prepared, from digits that are drawn here too.

python scripts/draw_pictures.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_splprep

from mnist_cnn.cli import main as mnist_cnn

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "explanation.png"

# Points that a pen passes through, in a square of side 1, x to the right and y down; one list per stroke.
Pen = list[list[tuple[float, float]]]
THREE: Pen = [
    [(0.2, 0.15), (0.5, 0.02), (0.75, 0.2), (0.45, 0.45), (0.78, 0.7), (0.5, 0.98), (0.15, 0.85)],
]
SEVEN: Pen = [
    [(0.15, 0.1), (0.45, 0.08), (0.82, 0.06), (0.6, 0.5), (0.42, 0.98)],
    [(0.3, 0.52), (0.5, 0.5), (0.72, 0.48), (0.8, 0.47)],
]
FIVE: Pen = [
    [(0.3, 0.08), (0.27, 0.3), (0.25, 0.45), (0.6, 0.42), (0.75, 0.7), (0.5, 0.95), (0.15, 0.88)],
    [(0.3, 0.08), (0.5, 0.08), (0.7, 0.06), (0.8, 0.05)],
]
CROSS: Pen = [
    [(0.1, 0.1), (0.4, 0.4), (0.6, 0.6), (0.9, 0.9)],
    [(0.9, 0.1), (0.6, 0.4), (0.4, 0.6), (0.1, 0.9)],
]


def main() -> None:
    """Draw four pictures and let `predict --explain` draw how it reads them."""
    pictures = {
        "ball-pen.jpg": ball_pen(THREE),
        "chalk.png": chalk(SEVEN),
        "corner.png": corner(FIVE),
        "cross.png": corner(CROSS),
    }
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # so that the picture shows names without a path
        for name, picture in pictures.items():
            cv2.imwrite(name, picture)
        mnist_cnn(["predict", *pictures, "--explain", "--output", str(PICTURE)])


def ink(pen: Pen, side: int, width: int) -> NDArray[np.uint8]:
    """Draw smooth strokes: uint8 [side, side], 255 where there is ink."""
    canvas = np.zeros((side, side), np.uint8)
    for stroke in pen:
        curve, _ = make_splprep(np.array(stroke).T, s=0)
        line = np.rint(curve(np.linspace(0, 1, 80)).T * side * 16).astype(np.int32)
        cv2.polylines(canvas, [line], False, 255, width, cv2.LINE_AA, 4)
    return canvas


def ball_pen(pen: Pen) -> NDArray[np.uint8]:
    """A thin line on ruled paper, photographed by the light of a lamp."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:400, :400] / 400
    light = 225 - 110 * np.hypot(x - 0.1, y - 0.1)
    light[60::64] -= 18
    strokes = np.pad(ink(pen, 220, 4), 90) / 255
    return np.asarray((light * (1 - 0.7 * strokes) + random.normal(0, 3, light.shape)).clip(0, 255), np.uint8)


def chalk(pen: Pen) -> NDArray[np.uint8]:
    """Broad and light, on a dark board."""
    strokes = np.pad(ink(pen, 240, 22), ((20, 40), (90, 30)))
    return np.asarray(35 + strokes * 0.75, np.uint8)


def corner(pen: Pen) -> NDArray[np.uint8]:
    """Small, in the corner of a white canvas."""
    return 255 - np.pad(ink(pen, 70, 7), ((150, 20), (30, 160)))


if __name__ == "__main__":
    main()
