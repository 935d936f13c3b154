"""Pictures of digits, drawn here."""

from __future__ import annotations

import base64
import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnist_cnn.reading.ink import prepare

_POLYLINES = {
    "1": [(14, 3), (14, 25)],
    "7": [(7, 4), (21, 4), (12, 25)],
    "0": [(14, 4), (19, 8), (19, 20), (14, 24), (9, 20), (9, 8), (14, 4)],  # a rectangle is not a digit
}


def drawing(label: str, scale: int = 5) -> NDArray[np.uint8]:
    """Return a digit as people draw it on a page: uint8 [28 · scale, 28 · scale], dark on white."""
    image = np.full((28 * scale, 28 * scale), 255, np.uint8)
    points = np.array(_POLYLINES[label], np.int32) * scale
    cv2.polylines(image, [points], isClosed=False, color=0, thickness=3 * scale, lineType=cv2.LINE_AA)
    return image


def digit(label: str) -> NDArray[np.uint8]:
    """Return a digit in MNIST's form: uint8 [28, 28], light on black."""
    return prepare(drawing(label)).image


def file_of(image: NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
    """Return an image as a file's bytes; options as Pillow's writer of that kind has them."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def text_of(image: NDArray[np.uint8]) -> str:
    """Return an image as a PNG file in base64."""
    return base64.b64encode(file_of(image)).decode()
