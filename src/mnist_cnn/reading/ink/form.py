"""MNIST's own form: ink fitted into 20×20, centred by mass in 28×28, strokes two to four pixels wide.

LeCun et al. 1998, "Gradient-based learning applied to document recognition", section III A: size-normalised to fit a
20×20 box while keeping the aspect, grey by antialiasing, the centre of mass at the centre of the field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.reading import IMAGE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = IMAGE_SIZE
BOX = 20  # pixels, the longer side of the ink

# Of 2,000 MNIST digits, one in ten is thinner than 1.6 or thicker than 3.8.
THIN, THICK = 1.9, 4.0  # pixels: strokes are brought between these

_FINE = 80  # pixels, the longer side of the ink while its strokes are widened: a quarter of a final pixel
_MARGIN = 16  # pixels around it
_INKED = 64  # grey level of a stroke's edge
_DARKEST_PEAK = 200  # of any of MNIST's images
_BOX_OFF_CENTRE = 10  # half pixels, between the middles of the ink's box and the picture; MNIST's reach 9
_OFF_CENTRE = 1.0  # pixels; MNIST's own are off by at most a half, from rounding


def in_mnist_form(image: NDArray[Any]) -> bool:
    """Whether a picture is already as MNIST's are: its size, light on black 0, fitted into 20×20 and centred."""
    if not looks_like_mnist(image):
        return False
    x, y = _centre_of_mass(image)
    return abs(x - SIZE / 2) <= _OFF_CENTRE and abs(y - SIZE / 2) <= _OFF_CENTRE


def looks_like_mnist(image: NDArray[Any]) -> bool:
    """Whether size, place and darkness of a picture's ink are as MNIST's: the quick half of `in_mnist_form`.

    It takes a microsecond instead of four, and leaves only the centre of mass open, which a network that was trained
    on shifted digits forgives. Ink dark on white fills the box, so it never passes.

    Args:
        image: uint8 [h, w] or [h, w, 1].
    """
    if image.shape[:2] != (SIZE, SIZE):
        return False
    left, top, width, height = cv2.boundingRect(image)
    return (
        BOX - 1 <= (width if width > height else height) <= BOX + 1
        and -_BOX_OFF_CENTRE <= 2 * left + width - SIZE <= _BOX_OFF_CENTRE
        and -_BOX_OFF_CENTRE <= 2 * top + height - SIZE <= _BOX_OFF_CENTRE
        and cv2.norm(image, cv2.NORM_INF) >= _DARKEST_PEAK
    )


def stroke_width(mask: NDArray[Any]) -> float:
    """Give the mean width of strokes in pixels: twice their area over the length of their outlines."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    length = sum(cv2.arcLength(outline, True) for outline in outlines)
    return 2 * cv2.countNonZero(mask) / max(length, 1)


def magnify(ink: NDArray[Any]) -> NDArray[Any]:
    """Scale ink to one size, a few times the final one, with room around for thicker strokes."""
    height, width = ink.shape
    scale = _FINE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    fine = cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(fine, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=0)


def even_strokes(fine: NDArray[Any]) -> NDArray[Any]:
    """Widen hairlines and slim markers until their strokes are as wide as MNIST's.

    Growing strokes by r on each side makes the ink wider by 2r, hence scales it down more: with w and L the width
    of the strokes and the length of the ink now, r solves (w + 2r) · 20 / (L + 2r) = goal.
    """
    width = stroke_width((fine > 127).astype(np.uint8))
    goal = min(max(width * BOX / _FINE, THIN), THICK)
    radius = round((goal * _FINE - BOX * width) / (2 * BOX - 2 * goal))
    if radius == 0:
        return fine
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(radius) + 1,) * 2)
    return cv2.dilate(fine, disc) if radius > 0 else cv2.erode(fine, disc)


def fit(fine: NDArray[Any]) -> NDArray[Any]:
    """Fit ink into 20×20, keeping its aspect, and centre it by mass in 28×28 (to whole pixels, as MNIST's)."""
    left, top, width, height = cv2.boundingRect((fine > _INKED).astype(np.uint8))
    image = np.zeros((SIZE, SIZE), np.uint8)
    if width == 0:
        return image
    scale = BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(fine[top : top + height, left : left + width], size, interpolation=cv2.INTER_AREA)
    x, y = _centre_of_mass(small)
    column = min(max(round(SIZE / 2 - x), 0), SIZE - size[0])
    row = min(max(round(SIZE / 2 - y), 0), SIZE - size[1])
    image[row : row + size[1], column : column + size[0]] = small
    return image


def _centre_of_mass(image: NDArray[Any]) -> tuple[float, float]:
    moments = cv2.moments(image)
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
