"""Lines printed on the paper: ruled, squared, the frame of a form's field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.ink.form import stroke_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALLEST = 60  # pixels, the shorter side; below, a line cannot be told from a digit's bar
_RUN = 1 / 12  # of the width: the shortest level piece of a line; a line tilted by 5° still holds such pieces
_THICKEST = 1 / 25  # of the height
_GAP = 2 / 3  # of the width: where a digit hides the line
_COVER = 0.25  # of the width that a line itself must cover
_SPAN = 0.9  # of the width, from its first piece to its last
_SLIGHTER = 0.7  # thickness or darkness of a line, beside those of the digit's strokes
_MANY = 3  # parallel lines across the whole picture: no digit has as many


def without_lines(mask: NDArray[Any], ink: NDArray[Any]) -> NDArray[Any]:
    """Take lines that run across the whole picture, level or upright, out of a mask of ink.

    Where a stroke crosses a line, the stroke stays. A bar that is as thick and dark as the rest stays too, unless
    it is one of many: in a tight crop, it is the top of a 7.

    Args:
        mask: uint8 [h, w], 1 where there is ink.
        ink: uint8 [h, w], how much.
    """
    if min(mask.shape) < _SMALLEST:
        return mask
    level = _without_level_lines(mask, ink)
    return np.ascontiguousarray(_without_level_lines(np.ascontiguousarray(level.T), ink.T).T)


def _without_level_lines(mask: NDArray[Any], ink: NDArray[Any]) -> NDArray[Any]:
    strokes = _runs(mask, round(mask.shape[0] * _THICKEST) + 2, upright=True)
    pieces = _runs(mask, round(mask.shape[1] * _RUN)) & ~strokes & 1
    lines, number = _spanning(pieces)
    if number == 0:
        return mask
    near = cv2.dilate(lines, np.ones((5, 1), np.uint8))  # frayed edges hold no runs
    rest = mask & ~(near & ~strokes) & 1
    return rest if number >= _MANY or _slighter(lines, rest, ink, number) else mask


def _runs(mask: NDArray[Any], length: int, upright: bool = False) -> NDArray[Any]:
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((length, 1) if upright else (1, length), np.uint8))


def _spanning(pieces: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Keep the pieces that, joined over gaps, reach across; give them and the number of lines."""
    width = pieces.shape[1]
    if cv2.countNonZero(pieces) < _COVER * width:
        return pieces, 0
    joined = cv2.dilate(pieces, np.ones((3, round(width * _GAP)), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    labels[pieces == 0] = 0
    kept = [label for label in range(1, count) if _reaches_across(labels == label)]
    return np.isin(labels, kept).astype(np.uint8), len(kept)


def _reaches_across(line: NDArray[Any]) -> bool:
    columns = np.flatnonzero(line.any(0))
    width = line.shape[1]
    return bool(len(columns) > _COVER * width and columns[-1] - columns[0] >= _SPAN * width - 1)


def _slighter(lines: NDArray[Any], rest: NDArray[Any], ink: NDArray[Any], number: int) -> bool:
    if not rest.any():
        return True
    columns = int(np.count_nonzero(lines.any(0))) * number
    return bool(
        np.count_nonzero(lines) / max(columns, 1) < _SLIGHTER * stroke_width(rest)
        or cv2.mean(ink, lines)[0] < _SLIGHTER * cv2.mean(ink, rest)[0]
    )
