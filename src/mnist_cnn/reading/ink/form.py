"""MNIST's form: ink fitted into 20×20, centred by mass in 28×28, strokes two to four pixels wide.

LeCun et al. 1998, "Gradient-based learning applied to document recognition", section III A: size-normalised to fit a
20×20 box while keeping the aspect, grey by antialiasing, the centre of mass at the centre of the field.
"""

from __future__ import annotations

import cv2
import numpy as np

from mnist_cnn.reading.conventions import IMAGE_SIZE
from mnist_cnn.reading.ink.pixels import Pixels, scaled_size

SIZE = IMAGE_SIZE
BOX = 20  # pixels, the longer side of the ink

# Of 2,000 MNIST digits, one in ten is thinner than 1.6 or thicker than 3.8.
THIN, THICK = 1.9, 4.0  # pixels: the range of stroke widths after preparation

_FINE = 80  # pixels, longer side of the ink while its strokes are widened, four times the final one
_MARGIN = 16  # pixels around it
_INKED = 64  # grey level of a stroke's edge
_BLURRED = 0.6  # clearness of blurred ink; MNIST's images have 0.62 to 1
_CLEAR = 0.75  # clearness of ink whose holes are not the gaps of a blurred image
_TWO_LEVELS = 0.97  # clearness if there is hardly any grey
_SOLID = 0.35  # of the ink's pixels that 2×2 pixels of ink contain; outlines, one pixel wide, have fewer
_PIXELS = np.ones((2, 2), np.uint8)
_ROUGH = 0.4  # squared steps from row to row, relative to the squared levels: strokes full of holes have more
_FILLED = 0.5  # of the image that ink covers at most
_HOLES = 0.145  # of the ink: what fills the holes of one pixel; in MNIST's images, at most 0.143
_GAP, _GAPS = 7, 0.08  # pixels of magnified ink that are closed, and the share of the ink that this adds
_DARKEST_PEAK = 200  # lowest maximum of all MNIST images
_BOX_OFF_CENTRE = 10  # half pixels, between the centres of the ink's box and the image; MNIST's reach 9
_OFF_CENTRE = 1.0  # pixels; MNIST's own are off by at most half a pixel, from rounding


def in_mnist_form(image: Pixels) -> bool:
    """Return whether an image is in MNIST's form already: its size, light on black 0, fitted into 20×20, centred."""
    if not looks_like_mnist(image):
        return False
    x, y = _centre_of_mass(image)
    return abs(x - SIZE / 2) <= _OFF_CENTRE and abs(y - SIZE / 2) <= _OFF_CENTRE


def looks_like_mnist(image: Pixels) -> bool:
    """Return whether the ink has the size, place and quality of MNIST's: the quick half of `in_mnist_form`.

    It takes two thirds of the time. It does not check the centre of mass, which matters little to a network
    that was trained on shifted digits. Dark ink on white fills the box, so it never passes.

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
        and _is_drawn_well(image)
    )


def _is_drawn_well(image: Pixels) -> bool:
    """Return whether ink, [28, 28], is neither blurred, nor full of holes, nor outlines alone.

    All of MNIST's own images are drawn well.
    """
    clearness = _clearness(image)
    if clearness < _BLURRED:
        return False
    if clearness > _TWO_LEVELS and cv2.countNonZero(cv2.erode(image, _PIXELS)) < _SOLID * cv2.countNonZero(image):
        return False
    if cv2.norm(image[1:], image[:-1], cv2.NORM_L2SQR) < _ROUGH * cv2.norm(image, cv2.NORM_L2SQR):
        return True  # most images: this takes a fifth of the time of what follows
    return cv2.norm(_closed(image), image, cv2.NORM_L1) <= _HOLES * cv2.norm(image, cv2.NORM_L1)


def without_holes(grey: Pixels) -> Pixels:
    """Close the holes of one pixel in light ink on 0, if an image of MNIST's size is full of them, as in the dark.

    Returns:
        The same array if it is not.
    """
    if grey.shape != (SIZE, SIZE) or not 0 < np.count_nonzero(grey) < _FILLED * grey.size:
        return grey
    is_clear = _CLEAR < _clearness(grey) < _TWO_LEVELS
    closed = _closed(grey)
    return closed if is_clear and cv2.norm(closed, grey, cv2.NORM_L1) > _HOLES * cv2.norm(grey, cv2.NORM_L1) else grey


def _clearness(image: Pixels) -> float:
    """Return the mean grey level of the ink, weighted by itself, relative to white: 1 if all ink is white."""
    return cv2.norm(image, cv2.NORM_L2SQR) / (255 * cv2.norm(image, cv2.NORM_L1))


def _closed(image: Pixels) -> Pixels:
    return cv2.erode(cv2.dilate(image, _PIXELS, anchor=(0, 0)), _PIXELS, anchor=(1, 1))


def stroke_width(mask: Pixels) -> float:
    """Return the mean width of strokes in pixels: twice their area divided by the length of their outlines."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    length = sum(cv2.arcLength(outline, True) for outline in outlines)
    return 2 * cv2.countNonZero(mask) / max(length, 1)


def magnify(ink: Pixels) -> Pixels:
    """Scale ink to a fixed size, a few times the final one, with a margin for thicker strokes."""
    scale = _FINE / max(ink.shape)
    fine = cv2.resize(ink, scaled_size(ink, scale), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(fine, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=0)


def whole_strokes(fine: Pixels) -> Pixels:
    """Close gaps and holes that are narrower than strokes, if magnified ink is full of them, as a dry pen leaves them.

    Returns:
        The same array if it is not.
    """
    closed = cv2.morphologyEx(fine, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_GAP, _GAP)))
    is_full = cv2.norm(closed, fine, cv2.NORM_L1) > _GAPS * cv2.norm(fine, cv2.NORM_L1)
    return closed if is_full else fine


def even_strokes(fine: Pixels) -> Pixels:
    """Widen or narrow strokes until they are as wide as MNIST's.

    Growing strokes by r on each side makes the ink larger by 2r, so it is scaled down more: with w the width of the
    strokes and L the length of the ink, r solves (w + 2r) · 20 / (L + 2r) = goal.
    """
    width = stroke_width((fine > 127).astype(np.uint8))
    goal = min(max(width * BOX / _FINE, THIN), THICK)
    radius = round((goal * _FINE - BOX * width) / (2 * BOX - 2 * goal))
    if radius == 0:
        return fine
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(radius) + 1,) * 2)
    return cv2.dilate(fine, disc) if radius > 0 else cv2.erode(fine, disc)


def fit(fine: Pixels) -> Pixels:
    """Fit ink into 20×20, keeping its aspect ratio, and centre it by mass in 28×28, to whole pixels as in MNIST."""
    left, top, width, height = cv2.boundingRect((fine > _INKED).astype(np.uint8))
    image = np.zeros((SIZE, SIZE), np.uint8)
    if width == 0:
        return image
    ink = fine[top : top + height, left : left + width]
    size = scaled_size(ink, BOX / max(height, width))
    small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
    x, y = _centre_of_mass(small)
    column = min(max(round(SIZE / 2 - x), 0), SIZE - size[0])
    row = min(max(round(SIZE / 2 - y), 0), SIZE - size[1])
    image[row : row + size[1], column : column + size[0]] = small
    return image


def _centre_of_mass(image: Pixels) -> tuple[float, float]:
    moments = cv2.moments(image)
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
