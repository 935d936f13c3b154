"""Where a number is in a picture that shows much else: a sheet on a desk, a page, a drawing canvas."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mnist_cnn.reading.ink.lines import without_lines
from mnist_cnn.reading.ink.paper import NARROW, lift_ink
from mnist_cnn.reading.ink.pixels import Pixels, border, scaled_size, shrink
from mnist_cnn.reading.ink.polarity import ink_is_light
from mnist_cnn.reading.ink.sheets import find_sheets

_OVERVIEW = 512  # pixels, longer side of the picture in which the number is looked for
_LEAST_PICTURE = 120  # pixels, height; in a lower one, a small number has no more pixels than the line
_SMALL = 0.4  # of the picture's height; a number that is higher is read from the whole picture
_MARGIN = 0.35  # of the number's height
_FINE = 256  # pixels, height of a turned field: more than any line needs

_LEAST_HEIGHT = 5  # pixels of the overview
_ABOVE_NOISE = 6.0  # standard deviations of bare paper
_LEAST_CONTRAST = 14  # levels of the ink map
_MOST_SHAPES = 150  # the largest; the comparison of pairs is bounded
_LONGEST = 12.0  # ratio of the sides of a shape; lines are longer, joined digits are not
_CUT = 0.5  # of half of a shape's outline; what touches the border with more is a shadow or a desk
_LONG = 0.4  # of the picture's width or height
_SPARSE, _BAND = 0.08, 0.3  # of its box; a long shape that covers less is a line, and at the border a sheet's edge
_THIN = 0.12  # of its box, that a line covers which touches no digits
_FRAMED, _INNER = 0.02, 0.15  # of a frame's box that the shapes within it cover; of its height, the highest of them

_OVERLAP = 0.35  # of the lower of two neighbours' height
_GAP = 1.8  # of the higher one's height
_ALIKE = 2.6  # ratio of heights in a row; small zeros are half as high as other digits
_AS_DARK = 0.4  # ratio of contrasts in a row, and of two rows
_RIVAL = 0.08  # of the row's area: another row
_RIVAL_HEIGHT = 0.5  # of the row's height

_TILTS = np.deg2rad(np.arange(-20.0, 20.5, 1.0))
_LEAST_TILT = math.radians(3)
_LOWER = 0.9  # ratio of heights: a row that does not become as low is level already
_ENOUGH = 1000  # pixels of ink that tell the tilt
_RIM = 0.03  # of these pixels, at the upper and lower end, that do not


@dataclass(frozen=True, eq=False)
class Field:
    """The part of a picture that shows a number."""

    corner: tuple[float, float]  #: x and y of its upper left corner, pixels of the picture
    size: tuple[float, float]  #: width and height, pixels of the picture
    tilt: float = 0.0  #: by which it is turned clockwise about that corner, radians
    is_single: bool = True  #: no other row is prominent, high and dark enough to be a second number

    def cut(self, grey: Pixels) -> Pixels:
        """Cut the field out of a picture, uint8 [h, w]: uint8 [h', w'], level."""
        if not self.tilt:
            left, top = (round(start) for start in self.corner)
            right, bottom = (round(start + side) for start, side in zip(self.corner, self.size, strict=True))
            return grey[top:bottom, left:right]
        return self._turned(grey)

    def to_picture(self, points: Pixels) -> Pixels:
        """Convert points, float [n, 2], from pixels of the field at the picture's scale to pixels of the picture."""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        moved: Pixels = points @ np.array([[cos, sin], [-sin, cos]]) + self.corner
        return moved

    def _turned(self, grey: Pixels) -> Pixels:
        """Turn the field about its upper left corner; beyond the picture's border, its rim continues."""
        width, height = self.size
        corners = self.to_picture(np.array([[0, 0], [width, 0], [width, height], [0, height]]))
        limit = np.array(grey.shape[::-1])
        low, high = np.floor(corners.min(axis=0)).clip(0), np.minimum(np.ceil(corners.max(axis=0)), limit)
        (left, top), (right, bottom) = low.astype(int), high.astype(int)
        part = grey[top:bottom, left:right]
        scale = min(1.0, _FINE / height)
        small = cv2.resize(part, scaled_size(part, scale), interpolation=cv2.INTER_AREA) if scale < 1 else part
        axes = scale * (self.to_picture(np.array([[0.0, 0.0], [1 / scale, 0.0], [0.0, 1 / scale]])) - low)
        onto = np.column_stack([axes[1] - axes[0], axes[2] - axes[0], axes[0]])
        target = max(1, round(width * scale)), max(1, round(height * scale))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(small, onto, target, flags=flags, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True, eq=False)
class _Blobs:
    """Connected shapes of ink that may be digits."""

    labels: Pixels  # int32 [h, w], of the overview
    names: Pixels  # [n], their labels
    boxes: Pixels  # float [n, 4]: left, top, right, bottom
    contrast: Pixels  # [n], levels above the paper
    is_light: bool  # they are lighter than the paper
    others: Pixels  # float [m, 4], boxes of other ink that is no thin line, such as digits that touch one

    @property
    def heights(self) -> Pixels:
        tall: Pixels = self.boxes[:, 3] - self.boxes[:, 1]
        return tall

    @property
    def areas(self) -> Pixels:
        """Of the boxes: what a digit's strokes enclose has a smaller one, whatever its own area."""
        extents: Pixels = (self.boxes[:, 2] - self.boxes[:, 0]) * self.heights
        return extents

    def chosen(self, which: Pixels) -> _Blobs:
        """Return some of the shapes, bool [n]."""
        return replace(self, names=self.names[which], boxes=self.boxes[which], contrast=self.contrast[which])


@dataclass(frozen=True, eq=False)
class _Row:
    """Shapes beside each other that are alike."""

    shapes: _Blobs
    members: Pixels  # bool [n]

    @property
    def box(self) -> Pixels:
        """Left, top, right, bottom."""
        boxes = self.shapes.boxes[self.members]
        return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])

    @property
    def height(self) -> float:
        return float(self.shapes.heights[self.members].max())

    @property
    def contrast(self) -> float:
        return float(self.shapes.contrast[self.members].max())

    @property
    def prominence(self) -> float:
        return float((self.shapes.areas * self.shapes.contrast)[self.members].sum())


def find_field(grey: Pixels) -> Field | None:
    """Find a number that is small in its picture.

    Args:
        grey: uint8 [h, w].

    Returns:
        Where it is, with a margin; None if no number is found, or if it fills the picture.
    """
    if grey.shape[0] < _LEAST_PICTURE:
        return None
    overview, scale = shrink(grey, _OVERVIEW)
    for page in _pages(overview):
        rows = [row for light in (False, True) for row in _rows(_shapes(page, light))]
        if (best := _most_prominent(rows, page)) is not None:
            return None if _goes_on(best) else _located(best, rows, grey, scale)
    return None


def _pages(overview: Pixels) -> list[Pixels]:
    """Return the sheets that are seen in surroundings, each with its paper continued; without any, the picture."""
    pages = []
    for sheet in find_sheets(overview):
        corners = np.rint(sheet.corners).astype(np.int32)
        inside = cv2.fillConvexPoly(np.zeros_like(overview), corners, 1)
        paper = np.uint8(np.median(overview[inside > 0]))
        pages.append(np.where(inside > 0, overview, paper))
    return pages or [overview]


def _located(best: _Row, rows: list[_Row], grey: Pixels, scale: float) -> Field | None:
    """Convert a row to a field of the picture; None if it is not small."""
    tilt = _tilt(best)
    low, high = _extent(best, tilt)
    if high[1] - low[1] > _SMALL * scale * grey.shape[0]:
        return None
    is_single = not any(_rivals(row, best) for row in rows if row is not best)
    return _with_margin(low / scale, high / scale, tilt, grey.shape, is_single)


def _with_margin(low: Pixels, high: Pixels, tilt: float, shape: tuple[int, ...], is_single: bool) -> Field:
    """Add a margin to the extent of a row, which is in pixels of the picture, turned back about its origin."""
    margin = _MARGIN * float(high[1] - low[1])
    low, high = low - margin, high + margin
    if not tilt:
        low, high = np.floor(low).clip(0), np.minimum(np.ceil(high), shape[::-1])
    corner = Field((0.0, 0.0), (0.0, 0.0), tilt).to_picture(low[None])[0]
    width, height = high - low
    return Field((float(corner[0]), float(corner[1])), (float(width), float(height)), tilt, is_single)


def _most_prominent(rows: list[_Row], overview: Pixels) -> _Row | None:
    """Return the most prominent row whose ink differs from its paper in the same direction as the row's shapes.

    Between strokes, the paper looks like ink of the other polarity.
    """
    for row in sorted(rows, key=lambda row: -row.prominence):
        margin = _MARGIN * row.height
        left, top = np.maximum(row.box[:2] - margin, 0).astype(int)
        right, bottom = np.ceil(row.box[2:] + margin).astype(int)
        if ink_is_light(overview[top:bottom, left:right]) == row.shapes.is_light:
            return row
    return None


def _shapes(overview: Pixels, is_light: bool) -> _Blobs:
    """Find the shapes of dark or light ink that may be digits."""
    dark = cv2.bitwise_not(overview) if is_light else overview
    ink = cv2.GaussianBlur(lift_ink(dark, NARROW), (3, 3), 0)
    below = np.cumsum(cv2.calcHist([ink], [0], None, [256], [0, 256])) / ink.size
    low, paper = np.searchsorted(below, (0.16, 0.5))
    least = max(_ABOVE_NOISE * float(paper - low), _LEAST_CONTRAST)
    mask = without_lines((ink > paper + least).astype(np.uint8), ink)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    boxes = np.concatenate([stats[:, :2], stats[:, :2] + stats[:, 2:4]], axis=1).astype(np.float64)
    fits, is_thin = _digit_like(labels, stats, count)
    names = np.flatnonzero(fits)[np.argsort(-stats[fits, 2:4].prod(axis=1))][:_MOST_SHAPES]
    others = boxes[1:][~(fits | is_thin)[1:]]
    contrast = np.array([_peak(ink, labels, stats, name) for name in names]) - float(paper)
    shapes = _Blobs(labels, names, boxes[names], contrast, is_light, others)
    return shapes.chosen(~_frames(shapes))


def _digit_like(labels: Pixels, stats: Pixels, count: int) -> tuple[Pixels, Pixels]:
    """Mark the shapes that may be digits, and those that are thin lines or specks: bool [n] each."""
    width, height, area = stats[:, 2:5].T
    contact = np.bincount(border(labels), minlength=count) / (width + height)
    fill = area / (width * height)
    is_long = (stats[:, 2:4] > _LONG * np.array(labels.shape[::-1])).any(axis=1)
    is_edge = is_long & ((fill < _SPARSE) | ((fill < _BAND) & (contact > 0)))
    fits = (height >= _LEAST_HEIGHT) & (width < _LONGEST * height) & (height < _LONGEST * width) & (contact < _CUT)
    fits[0] = False
    return fits & ~is_edge, (height < _LEAST_HEIGHT) | (fill < _THIN)


def _peak(ink: Pixels, labels: Pixels, stats: Pixels, name: int) -> float:
    """Return the level of a shape's darkest ink."""
    left, top, width, height = stats[name, :4]
    box = slice(top, top + height), slice(left, left + width)
    return float(np.quantile(ink[box][labels[box] == name], 0.9))


def _frames(shapes: _Blobs) -> Pixels:
    """Mark the shapes around others: printed boxes, the edges of a sheet."""
    low, high = shapes.boxes[:, :2], shapes.boxes[:, 2:]
    within = ((low[None] > low[:, None]) & (high[None] < high[:, None])).all(axis=2)  # [outer, inner]
    covered, highest = (within * shapes.areas).sum(axis=1), (within * shapes.heights).max(axis=1, initial=0)
    frames: Pixels = (covered > _FRAMED * shapes.areas) & (highest > _INNER * shapes.heights)
    return frames


def _rows(shapes: _Blobs) -> list[_Row]:
    """Gather shapes beside each other."""
    linked = _neighbours(shapes)
    while (linked != (further := linked @ linked)).any():  # from neighbour to neighbour
        linked = further
    return [_Row(shapes, members) for members in np.unique(linked, axis=0)]


def _neighbours(shapes: _Blobs) -> Pixels:
    """Mark the pairs of shapes that may be digits of one number: bool [n, n]."""
    left, top, right, bottom = shapes.boxes.T
    height, contrast = shapes.heights, shapes.contrast
    overlap = np.minimum(bottom, bottom[:, None]) - np.maximum(top, top[:, None])
    gap = np.maximum(left, left[:, None]) - np.minimum(right, right[:, None])
    lower, higher = np.minimum(height, height[:, None]), np.maximum(height, height[:, None])
    paler, darker = np.minimum(contrast, contrast[:, None]), np.maximum(contrast, contrast[:, None])
    pairs: Pixels = (overlap > _OVERLAP * lower) & (gap < _GAP * higher)
    return pairs & (higher < _ALIKE * lower) & (paler > _AS_DARK * darker)


def _goes_on(row: _Row) -> bool:
    """Return whether other ink, as high as the row, is beside it: perhaps the rest of the number, and a line."""
    left, top, right, bottom = row.box
    others = row.shapes.others
    height = others[:, 3] - others[:, 1]
    overlap = np.minimum(bottom, others[:, 3]) - np.maximum(top, others[:, 1])
    gap = np.maximum(left, others[:, 0]) - np.minimum(right, others[:, 2])
    is_alike = (height < _ALIKE * row.height) & (row.height < _ALIKE * height)
    return bool((is_alike & (overlap > _OVERLAP * row.height) & (gap < _GAP * row.height)).any())


def _rivals(row: _Row, best: _Row) -> bool:
    """Return whether a row may be another line of digits: it is not much smaller or paler, though it may be shorter."""
    return (
        row.shapes is best.shapes
        and row.prominence > _RIVAL * best.prominence
        and row.height > _RIVAL_HEIGHT * best.height
        and row.contrast > _AS_DARK * best.contrast
    )


def _tilt(row: _Row) -> float:
    """Return the angle, clockwise, at which the row is lowest; 0 if it is about level."""
    points = _points(row)
    x, y = points.T
    down = np.sort(np.outer(np.cos(_TILTS), y) - np.outer(np.sin(_TILTS), x), axis=1)  # [tilts, n]
    rim = int(_RIM * len(points))
    heights = down[:, -1 - rim] - down[:, rim]
    best = int(heights.argmin())
    is_clear = heights[best] < _LOWER * heights[len(_TILTS) // 2]
    return float(_TILTS[best]) if is_clear and abs(_TILTS[best]) > _LEAST_TILT else 0.0


def _extent(row: _Row, tilt: float) -> tuple[Pixels, Pixels]:
    """Return the least and the greatest x and y of a row, turned back by its tilt about the picture's origin."""
    if not tilt:
        return row.box[:2], row.box[2:]
    points = _level(_points(row, every=1), tilt)
    return points.min(axis=0), points.max(axis=0)


def _points(row: _Row, every: int | None = None) -> Pixels:
    """Return x and y of the row's ink, float [n, 2]; of a sample if `every` is None."""
    left, top, right, bottom = row.box.astype(int)
    inked = np.isin(row.shapes.labels[top:bottom, left:right], row.shapes.names[row.members])
    points = np.argwhere(inked)[:, ::-1] + (left + 0.5, top + 0.5)
    step = every or max(1, len(points) // _ENOUGH)
    sample: Pixels = points[::step]
    return sample


def _level(points: Pixels, tilt: float) -> Pixels:
    cos, sin = math.cos(tilt), math.sin(tilt)
    turned: Pixels = points @ np.array([[cos, -sin], [sin, cos]])
    return turned
