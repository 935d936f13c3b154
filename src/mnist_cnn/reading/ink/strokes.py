"""The strokes of one digit among other dark shapes: specks, shadows, frames, neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mnist_cnn.reading.ink.lines import frame_around, without_lines
from mnist_cnn.reading.ink.pixels import Pixels, border

_NOISY = 100  # pixels, shorter side; the noise of smaller images is averaged out already
_FAINT = 0.35  # of the contrast: fainter pixels are not part of a stroke
_STRONG = 0.6  # of the contrast: every stroke reaches it somewhere
_PART = 0.03  # of the main part's area: the smallest part of a digit
_NEAR = 0.2  # of the main part's size: the widest gap within a digit
_MOSTLY_BORDER = 0.7  # of half a shape's outline; a digit in a tight crop touches the border with less
_LEAST_CONTRAST = 8.0  # levels of the ink map
_ABOVE_NOISE = 4.0  # standard deviations
_LEAST_PIXELS, _LEAST_SHARE = 4, 0.025  # smallest digit: pixels, and share of the image's longer side
_RIVAL_AREA, _RIVAL_HEIGHT = 0.28, 0.4  # relative to the digit's: a neighbour that may be a digit too
_WHOLE = 0.15  # of the digit's area: its largest part, even if it is dashed


@dataclass(frozen=True)
class Strokes:
    """One digit that was found."""

    mask: Pixels  # [h, w], 1 on the strokes
    core: Pixels  # [h, w], 1 on its widest shape, and on those within that shape's box
    paper: float  # level of bare paper in the ink map
    peak: float  # level of the full stroke
    touches_border: bool
    at_border: bool  # it runs along the border like a shadow or a frame: perhaps not a digit
    is_single: bool  # no shape beside it could be a digit too
    field: tuple[slice, slice]  # rows and columns inside the frame around the digit, if there is one

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height in pixels."""
        left, top, width, height = cv2.boundingRect(self.mask)
        return left, top, width, height


@dataclass(frozen=True)
class _Levels:
    paper: float
    noise: float  # standard deviation
    peak: float


@dataclass(frozen=True)
class _Shapes:
    """Connected shapes of ink; the first one is the paper."""

    labels: Pixels  # [h, w]
    boxes: Pixels  # [n, 4]: left, top, right, bottom
    areas: Pixels  # [n], pixels; 0 for shapes without any strong pixel
    contact: Pixels  # [n], length on the image's border, as a share of half the outline


def find_strokes(ink: Pixels, least: float | None = None) -> Strokes | None:
    """Find the digit in an ink map.

    Args:
        ink: uint8 [h, w], light on darker paper.
        least: Pixels of the smallest digit's longer side; None for a share of the image's.

    Returns:
        Its strokes; None if no single object stands out from the noise.
    """
    found = _find_shapes(ink, least)
    if found is None or not _one_thing(found.chosen, found.shapes):
        return None
    shapes, chosen, levels = found.shapes, found.chosen, found.levels
    contact = float(shapes.contact[chosen].max())
    is_single = not _neighbours(chosen, shapes)
    mask = found.mask
    core = mask if np.count_nonzero(chosen) == 1 else _within_widest(chosen, shapes)[shapes.labels].astype(np.uint8)
    touches, runs_along = contact > 0, contact > _MOSTLY_BORDER
    return Strokes(mask, core, levels.paper, levels.peak, touches, runs_along, is_single, found.field)


def shows_several(ink: Pixels) -> bool:
    """Return whether several shapes as large as digits stand out, as in a number or a word.

    `find_strokes` finds nothing there, because the most striking one has too much beside it.

    Args:
        ink: See `find_strokes`.
    """
    found = _find_shapes(ink, None)
    return found is not None and _neighbours(found.chosen, found.shapes) > 1


@dataclass(frozen=True)
class _Found:
    """The most striking shapes, which stand out from the noise."""

    levels: _Levels
    shapes: _Shapes
    chosen: Pixels  # [n], bool
    mask: Pixels  # [h, w], 1 on the chosen shapes
    field: tuple[slice, slice]  # see `Strokes`


def _find_shapes(ink: Pixels, least: float | None) -> _Found | None:
    if min(ink.shape) > _NOISY:
        ink = cv2.GaussianBlur(ink, (3, 3), 0)
    levels = _measure(ink)
    contrast = levels.peak - levels.paper
    if contrast < _LEAST_CONTRAST:
        return None
    faint = levels.paper + max(_FAINT * contrast, 3 * levels.noise)
    strong = levels.paper + max(_STRONG * contrast, 4 * levels.noise)
    inked, field = _without_print((ink > faint).astype(np.uint8), ink)
    shapes = _shapes(inked, ink > strong)
    chosen = _choose(shapes)
    mask = chosen[shapes.labels].astype(np.uint8)
    least = _LEAST_SHARE * max(ink.shape) if least is None else least
    return _Found(levels, shapes, chosen, mask, field) if _stands_out(mask, inked, ink, levels.paper, least) else None


def _without_print(mask: Pixels, ink: Pixels) -> tuple[Pixels, tuple[slice, slice]]:
    """Remove frame and lines from a mask of ink; return the rows and columns inside the frame too."""
    field = slice(None), slice(None)
    if framed := frame_around(mask):
        frame, field = framed
        mask[frame] = 0
    return without_lines(mask, ink), field


def _measure(ink: Pixels) -> _Levels:
    """Measure paper, noise and stroke from the histogram.

    Paper is the darker class of Otsu's threshold (1979), measured by quantiles on its dark side, which is free of
    ink. The stroke's level is the upper quartile of the levels that are clearly above the paper's.
    """
    counts = np.bincount(ink.ravel(), minlength=256)
    below = np.cumsum(counts) / ink.size
    threshold, _ = cv2.threshold(ink, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    share = max(float(below[int(threshold)]), 0.6)  # with little ink, Otsu's threshold divides the paper
    paper, low = np.searchsorted(below, (0.5 * share, 0.16 * share))  # the median, and one deviation below it
    noise, top = float(paper - low), int(np.flatnonzero(counts)[-1])
    clear = int(paper + max(5 * noise, 0.3 * (top - paper)))
    tail = np.cumsum(counts[clear + 1 :])
    peak = clear + 1 + int(np.searchsorted(tail, 0.75 * tail[-1])) if len(tail) and tail[-1] else top
    return _Levels(float(paper), noise, float(peak))


def _shapes(inked: Pixels, strong: Pixels) -> _Shapes:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inked, connectivity=8)
    reached = np.bincount(labels[strong], minlength=count) > 0
    reached[0] = False
    boxes = np.concatenate([stats[:, :2], stats[:, :2] + stats[:, 2:4]], axis=1)
    contact = np.bincount(border(labels), minlength=count) / (stats[:, 2] + stats[:, 3])
    return _Shapes(labels, boxes, np.where(reached, stats[:, 4], 0), np.minimum(contact, 1))


def _choose(shapes: _Shapes) -> Pixels:
    """Choose the shapes of the digit: the most striking one, and its parts: nearby and not on the border."""
    extent = shapes.boxes[:, 2:] - shapes.boxes[:, :2]  # [n, 2]
    score = np.hypot(extent[:, 0], extent[:, 1]) * np.sqrt(shapes.areas) * (1 - shapes.contact) ** 2
    main = int(score.argmax())
    chosen: Pixels = np.arange(len(score)) == main
    fitting = _whole(shapes, chosen) & (shapes.areas > _PART * shapes.areas[main])
    reach = _NEAR * float(extent[main].max())
    while True:  # from part to part, as in a dashed line
        more: Pixels = chosen | (fitting & (_gaps(shapes.boxes, chosen) < reach))
        if (more == chosen).all():
            return chosen
        chosen = more


def _within_widest(chosen: Pixels, shapes: _Shapes) -> Pixels:
    """Mark the largest chosen shape and those inside its box, but not a label beside a ring."""
    extent = (shapes.boxes[:, 2:] - shapes.boxes[:, :2]).prod(axis=1)
    box = shapes.boxes[int(np.where(chosen, extent, 0).argmax())]
    inside: Pixels = (
        chosen & (shapes.boxes[:, :2] >= box[:2]).all(axis=1) & (shapes.boxes[:, 2:] <= box[2:]).all(axis=1)
    )
    return inside


def _whole(shapes: _Shapes, chosen: Pixels) -> Pixels:
    """Mark the shapes that the border does not cut; if it cuts the chosen one (a tight crop), it may cut a little."""
    most = _MOSTLY_BORDER / 2 if shapes.contact[chosen].any() else 0
    whole: Pixels = shapes.contact <= most
    return whole


def _neighbours(chosen: Pixels, shapes: _Shapes) -> int:
    """Count the shapes beside the digit, also those taken for a part of it, that are as large as a digit.

    The parts of one digit are above, below and across each other.
    """
    main = int(np.where(chosen, shapes.areas, 0).argmax())
    height = shapes.boxes[:, 3] - shapes.boxes[:, 1]
    size = shapes.boxes[chosen, 3].max() - shapes.boxes[chosen, 1].min()
    large = (shapes.areas > _RIVAL_AREA * shapes.areas[main]) & (height > _RIVAL_HEIGHT * size)
    beside = (shapes.boxes[:, 0] >= shapes.boxes[main, 2]) | (shapes.boxes[:, 2] <= shapes.boxes[main, 0])
    rivals = large & _whole(shapes, chosen) & (beside | ~chosen) & (np.arange(len(chosen)) != main)
    return int(np.count_nonzero(rivals))


def _gaps(boxes: Pixels, chosen: Pixels) -> Pixels:
    """Return the distance from each box to the box around the chosen ones, in pixels."""
    start, end = boxes[chosen, :2].min(0), boxes[chosen, 2:].max(0)
    gaps = np.maximum(0, np.maximum(boxes[:, :2] - end, start - boxes[:, 2:]))
    distances: Pixels = np.hypot(gaps[:, 0], gaps[:, 1])
    return distances


def _stands_out(mask: Pixels, inked: Pixels, ink: Pixels, paper: float, least: float) -> bool:
    left, top, width, height = cv2.boundingRect(mask)
    if max(width, height) < max(_LEAST_PIXELS, least):
        return False
    bare = 1 - (cv2.dilate(mask, np.ones((5, 5), np.uint8)) | inked)
    margin = max(width, height) // 4
    rows = slice(max(0, top - margin), top + height + margin)
    columns = slice(max(0, left - margin), left + width + margin)
    noise = max(
        _noise(ink, bare), _noise(ink[rows, columns], bare[rows, columns])
    )  # the division amplifies it in shadows
    return cv2.mean(ink, mask)[0] - paper > max(_LEAST_CONTRAST, _ABOVE_NOISE * noise)


def _noise(ink: Pixels, bare: Pixels) -> float:
    """Return the standard deviation of bare paper, from the quantiles on its dark side: blurred edges are not noise."""
    below = np.cumsum(cv2.calcHist([ink], [0], bare, [256], [0, 256]))
    if below[-1] == 0:
        return 0.0
    low, middle = np.searchsorted(below, (0.16 * below[-1], 0.5 * below[-1]))
    return float(middle - low)


def _one_thing(chosen: Pixels, shapes: _Shapes) -> bool:
    areas = shapes.areas[chosen]
    if not areas.any():
        return False
    others = shapes.areas[~chosen & (shapes.contact == 0)]
    scattered = others.sum() - others.max(initial=0)  # one other is a neighbour
    return bool(areas.sum() >= scattered and areas.max() >= _WHOLE * areas.sum())
