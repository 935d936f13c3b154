"""What a camera, a scanner or a file format does to a picture. Pictures are float32 [h, w], 0 (black) … 1 (white)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mnist_cnn.composition.paper.textures import clouds, grain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]  # [h, w]


def blur(picture: Plane, sigma: float) -> Plane:
    """Defocus by a Gaussian of `sigma` pixels."""
    if sigma < 0.2:  # pixels; changes nothing that can be seen
        return picture
    blurred: Plane = cv2.GaussianBlur(picture, (0, 0), sigma)  # type: ignore[assignment]
    return blurred


def motion(picture: Plane, length: float, random: np.random.Generator) -> Plane:
    """Blur along a random direction over `length` pixels."""
    size = 2 * int(np.ceil(length / 2)) + 1
    angle = random.uniform(0, np.pi)
    half = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    kernel = np.zeros((size, size), np.uint8)
    start, end = (tuple(np.round((size // 2 + sign * half) * 16).astype(int).tolist()) for sign in (-1, 1))
    cv2.line(kernel, start, end, (255,), 1, cv2.LINE_AA, 4)
    moved: Plane = cv2.filter2D(picture, -1, kernel.astype(np.float32) / kernel.sum())  # type: ignore[assignment]
    return moved


def sharpen(picture: Plane, amount: float, sigma: float) -> Plane:
    """Add `amount` of what a Gaussian of `sigma` pixels removes: edges get the halos of an unsharp mask."""
    soft = cv2.GaussianBlur(picture, (0, 0), sigma)
    sharp: Plane = cv2.addWeighted(picture, 1 + amount, soft, -amount, 0)  # type: ignore[assignment]
    return sharp


def uneven_light(shape: tuple[int, int], strength: float, random: np.random.Generator) -> Plane:
    """Return a factor for light that changes over the picture: a gradient and a soft shadow; float32, about 1."""
    height, width = shape
    slope = random.normal(0, strength, 2).astype(np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    light: Plane = 1 + slope[0] * y + slope[1] * x + np.float32(strength / 2) * clouds(shape, 2, random)
    return np.maximum(light, np.float32(0.15))


def creases(shape: tuple[int, int], strength: float, random: np.random.Generator) -> Plane:
    """Return a factor for paper that was folded or rolled: soft bands along both axes; float32, about 1."""
    bands = [
        cv2.resize(random.standard_normal((1, 7), dtype=np.float32), (size, 1), interpolation=cv2.INTER_CUBIC)[0]
        for size in shape
    ]
    return np.asarray(1 + np.float32(strength) * (bands[0][:, None] + bands[1]), np.float32)


def shadow(shape: tuple[int, int], random: np.random.Generator) -> Plane:
    """Return a factor for the shadow of a hand or phone, with a soft straight edge: float32, 0.4 … 1."""
    height, width = shape
    angle = random.uniform(0, 2 * np.pi)
    y = np.arange(height, dtype=np.float32)[:, None] - random.random() * height
    x = np.arange(width, dtype=np.float32)[None] - random.random() * width
    distance = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    softness = np.float32(random.uniform(0.02, 0.6) * height)
    depth = np.float32(random.uniform(0.1, 0.6))
    return np.asarray(1 - depth * np.clip(distance / softness + np.float32(0.5), 0, 1), np.float32)


def noise(picture: Plane, strength: float, size: float, random: np.random.Generator) -> Plane:
    """Add sensor or paper noise with a standard deviation of `strength` and grains of about `size` pixels."""
    return picture + np.float32(strength) * grain(picture.shape, size, random)


def levels(picture: Plane) -> NDArray[np.uint8]:
    """Round to grey levels: uint8 [h, w]."""
    return cv2.convertScaleAbs(np.maximum(picture, 0), alpha=255)  # type: ignore[return-value]


def jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Store as JPEG of this quality (1 … 100) and read back."""
    _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)  # type: ignore[return-value]


def binarise(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Reduce to black and white at a threshold near Otsu's, as fax machines and bank scanners do."""
    otsu, _ = cv2.threshold(picture, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, binary = cv2.threshold(picture, otsu * random.uniform(0.9, 1.1), 255, cv2.THRESH_BINARY)
    return binary  # type: ignore[return-value]
