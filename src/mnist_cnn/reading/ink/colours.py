"""False colours: a picture whose grey levels were turned into colours of many hues, by a plotting library's map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE = 128  # pixels, the longer side on which colours are counted
_SATURATION, _VALUE = 100, 40  # of 255, of a colour that has a hue
_FILLED = 0.8  # of the box around such colours, what they cover: on white paper, coloured ink covers less
_SECTORS, _APART = 24, 3  # of the circle of hues; two that are as far apart are of different names
_SHARE = 0.025  # of the coloured pixels, of another hue than the paper's
_TRACE = 0.002  # of them: a hue that is there
_AMID = 0.003  # of them, on either side of the paper's hue: more than a JPEG file's noise
_MANY = 8  # sectors; a map round the circle of hues has them all, but a slim digit shows few pixels of each
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601
_TELLS = 0.6  # of the greatest difference in luminance from the paper, the ink's, where it is not misleading
_SHADES = 16  # of each channel, among which the commonest is looked for
_DISTANCE = 130.0  # levels of RGB, between the paper's colour and a full stroke's


def levels_of_false_colours(image: Image.Image) -> NDArray[np.uint8] | None:
    """Give each pixel's distance from the commonest colour, where hues vary so that luminance misleads.

    Jet, turbo and rainbow go from dark to light and back to dark, so that a digit's edge is lighter than its middle
    and its paper. None of their colours is as far from the rest as from the paper's.

    Args:
        image: Of any mode with colours, upright.

    Returns:
        uint8 [h, w], paper 0. All 0 where the hues go round the circle (hsv), so that the lowest and the highest
        level have one colour: nothing there tells ink from paper. None where colours are a picture's own.
    """
    paper = _paper(image)
    if paper is None:
        return None
    if not len(paper):
        return np.zeros((image.height, image.width), np.uint8)
    apart = np.asarray(_opaque(image), np.float32) - paper  # [h, w, 3]
    distance = np.sqrt((apart**2).sum(axis=2))
    levels: NDArray[np.uint8] = (distance * (255 / _DISTANCE)).clip(0, 255).astype(np.uint8)
    return levels


def _paper(image: Image.Image) -> NDArray[Any] | None:
    """Give the commonest colour, float [3], of a picture in false colours; of a circle of hues, an empty array."""
    if not image.mode.startswith(("RGB", "P")):
        return None
    scale = min(1.0, _SAMPLE / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    sample = _opaque(image.resize((width, height), Image.Resampling.NEAREST))
    hue, saturation, value = np.moveaxis(np.asarray(sample.convert("HSV")), 2, 0)
    coloured = (saturation > _SATURATION) & (value > _VALUE)
    if not _fills_its_box(coloured):
        return None
    colours = np.asarray(sample)[coloured]  # [n, 3]
    bins = (colours // (256 // _SHADES)) @ np.array([_SHADES**2, _SHADES, 1])
    is_paper, is_ink = (bins == shade for shade in _commonest(bins))
    paper, ink = colours[is_paper].mean(axis=0), colours[is_ink].mean(axis=0)
    sectors = hue[coloured].astype(int) * _SECTORS // 256
    shares = np.bincount(sectors, minlength=_SECTORS) / len(sectors)
    shares = np.roll(shares, -int(np.median(sectors[is_paper])))  # the paper's hue first
    if shares[_APART : 1 - _APART].sum() < _SHARE or _luminance_tells(paper, ink, colours):
        return None
    return np.empty(0) if _goes_round(shares) else paper


def _commonest(bins: NDArray[Any]) -> tuple[int, int]:
    counts = np.bincount(bins)
    order = np.argsort(counts)[::-1]
    return int(order[0]), int(order[1] if len(order) > 1 and counts[order[1]] else order[0])


def _luminance_tells(paper: NDArray[Any], ink: NDArray[Any], colours: NDArray[Any]) -> bool:
    """Whether the ink is about as far from the paper in luminance as any colour is."""
    others = np.abs((colours - paper) @ _LUMINANCE)
    return bool(abs((ink - paper) @ _LUMINANCE) > _TELLS * others.max())


def _fills_its_box(coloured: NDArray[Any]) -> bool:
    rows, columns = np.flatnonzero(coloured.any(axis=1)), np.flatnonzero(coloured.any(axis=0))
    if not len(rows):
        return False
    box = coloured[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return bool(box.mean() > _FILLED)


def _goes_round(shares: NDArray[Any]) -> bool:
    """Whether many hues are there, and the paper's, the first one, is amid them rather than at an end."""
    is_amid = min(shares[2 : _APART + 2].sum(), shares[-_APART - 1 : -1].sum()) > _AMID
    return bool(is_amid and (shares > _TRACE).sum() >= _MANY)


def _opaque(image: Image.Image) -> Image.Image:
    """Lay a picture on white, where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
