"""A digit cut out so tightly that it reaches all four sides of its picture, with too little paper to measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.reading.ink.views import shrink

if TYPE_CHECKING:
    from numpy.typing import NDArray

_THUMBNAIL = 128  # pixels, the longer side on which the sides are looked at
_NEARLY = 0.04  # of the picture's height and width: the blurred edge of a stroke
_SNUG = 0.15  # of them: the paper on each side where none of the ink is on the border
_ONE = 0.9  # of the ink is in one piece
_BORDER = 0.75  # of the picture's border; a frame, or a shadow all around, has more
_MUCH = 0.15  # of the picture; where ink covers less, there is paper enough
_DISTINCT = 0.8  # of the variance of grey levels lies between ink and paper; of noise 0.64, of a gradient 0.75
_TOUCHES = 8  # places at which ink may meet the border; lines on squared paper meet it more often
_CORNERS = 3  # of the picture's four that may be inked
_ROOM = 0.5  # of the longer side: paper laid around


def uncropped(grey: NDArray[Any]) -> NDArray[Any] | None:
    """Lay paper around a tight crop; None where the picture is none.

    Ink that reaches from side to side and from end to end in one piece divides the paper, which then cannot do the
    same. So there is no doubt which of the two is the ink.

    Args:
        grey: uint8 [h, w].
    """
    small, _ = shrink(grey, _THUMBNAIL)
    light = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
    fills = [_reaches_all_sides(ink) for ink in (1 - light, light)]
    if fills[0] == fills[1] or _separation(small, light) < _DISTINCT:
        return None
    room = round(_ROOM * max(grey.shape))
    paper = float(np.median(small[light == fills[0]]))
    return cv2.copyMakeBorder(grey, room, room, room, room, cv2.BORDER_CONSTANT, value=paper)


def _reaches_all_sides(ink: NDArray[Any]) -> bool:
    """Whether one piece of ink, uint8 [h, w] of 0 and 1, touches all sides, but not all along them."""
    border = np.concatenate([ink[0], ink[:, -1], ink[-1, ::-1], ink[::-1, 0]])  # once around
    corners = int(ink[0, 0]) + int(ink[0, -1]) + int(ink[-1, 0]) + int(ink[-1, -1])
    touches = np.count_nonzero(border[1:] > border[:-1])
    if border.mean() > _BORDER or corners > _CORNERS or touches > _TOUCHES or ink.mean() < _MUCH:
        return False
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    if len(stats) < 2:
        return False
    left, top, width, height, area = stats[1 + int(stats[1:, 4].argmax())].tolist()
    nearly = _NEARLY if border.any() else _SNUG
    across, down = (1 + nearly * side for side in ink.shape[::-1])
    reaches = left <= across and top <= down and left + width >= ink.shape[1] - across
    reaches = reaches and top + height >= ink.shape[0] - down
    return bool(reaches and area > _ONE * cv2.countNonZero(ink))


def _separation(grey: NDArray[Any], light: NDArray[Any]) -> float:
    """Give the share of the variance of grey levels that lies between two classes, 0 … 1 (Otsu's η)."""
    share = float(light.mean())
    gap = cv2.mean(grey, light)[0] - cv2.mean(grey, 1 - light)[0]
    return share * (1 - share) * gap**2 / max(float(grey.var()), 1e-9)
