"""False colours: images whose grey levels a plotting library turned into colours of many hues."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mnist_cnn.reading.ink.pixels import Pixels

_SAMPLE = 128  # pixels, longer side of the image on which colours are counted
_SATURATION, _VALUE = 100, 40  # of 255; a colour with less has no distinct hue
_FILLED = 0.8  # share of their bounding box that coloured pixels cover; coloured ink on white paper covers less
_SECTORS, _APART = 24, 3  # sectors of the hue circle, and the distance of hues with different names
_SHARE = 0.025  # of the coloured pixels must have another hue than the paper
_TRACE = 0.002  # share of pixels from which a hue counts as present
_AMID = 0.003  # share of pixels on either side of the paper's hue, above the noise of JPEG
_MANY = 8  # hues; a cyclic colour map has all 24, but a slim digit shows few pixels of each
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601
_TELLS = 0.6  # the ink's luminance contrast, as a share of the image's largest, from which luminance is reliable
_SHADES = 16  # bins per channel in which the most frequent colour is looked up
_DISTANCE = 130.0  # RGB distance between paper and a full stroke


def levels_of_false_colours(image: Image.Image) -> Pixels | None:
    """Return each pixel's distance from the most frequent colour, if hues vary so that luminance misleads.

    Jet, turbo and rainbow go from dark to light and back to dark, so that a digit's edge is lighter than both its
    middle and its paper. Their colours differ most from the paper's.

    Args:
        image: Upright, of any mode with colours.

    Returns:
        uint8 [h, w], paper 0. All 0 for a cyclic colour map (hsv), in which the lowest and the highest level have
        the same colour. None if the colours are natural.
    """
    paper = _paper(image)
    if paper is None:
        return None
    if not len(paper):
        return np.zeros((image.height, image.width), np.uint8)
    squares = np.zeros((image.height, image.width), np.float32)
    for channel, level in zip(_opaque(image).split(), paper, strict=True):  # all at once need four times the memory
        squares += (np.asarray(channel, np.float32) - np.float32(level)) ** 2
    levels: Pixels = (np.sqrt(squares) * np.float32(255 / _DISTANCE)).clip(0, 255).astype(np.uint8)
    return levels


def _paper(image: Image.Image) -> Pixels | None:
    """Return the most frequent colour, float [3], of an image in false colours; empty for a cyclic colour map."""
    if not image.mode.startswith(("RGB", "P", "YCbCr")):
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
    is_paper, is_ink = (bins == shade for shade in _most_frequent(bins))
    paper, ink = colours[is_paper].mean(axis=0), colours[is_ink].mean(axis=0)
    sectors = hue[coloured].astype(int) * _SECTORS // 256
    shares = np.bincount(sectors, minlength=_SECTORS) / len(sectors)
    shares = np.roll(shares, -int(np.median(sectors[is_paper])))  # the paper's hue first
    if shares[_APART : 1 - _APART].sum() < _SHARE or _luminance_tells(paper, ink, colours):
        return None
    return np.empty(0) if _is_cyclic(shares) else paper


def _most_frequent(bins: Pixels) -> tuple[int, int]:
    counts = np.bincount(bins)
    order = np.argsort(counts)[::-1]
    return int(order[0]), int(order[1] if len(order) > 1 and counts[order[1]] else order[0])


def _luminance_tells(paper: Pixels, ink: Pixels, colours: Pixels) -> bool:
    """Return whether the ink's luminance differs from the paper's about as much as any colour's."""
    others = np.abs((colours - paper) @ _LUMINANCE)
    return bool(abs((ink - paper) @ _LUMINANCE) > _TELLS * others.max())


def _fills_its_box(coloured: Pixels) -> bool:
    rows, columns = np.flatnonzero(coloured.any(axis=1)), np.flatnonzero(coloured.any(axis=0))
    if not len(rows):
        return False
    return bool(coloured[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > _FILLED)


def _is_cyclic(shares: Pixels) -> bool:
    """Return whether many hues are present, on both sides of the paper's hue, which comes first."""
    is_amid = min(shares[2 : _APART + 2].sum(), shares[-_APART - 1 : -1].sum()) > _AMID
    return bool(is_amid and (shares > _TRACE).sum() >= _MANY)


def _opaque(image: Image.Image) -> Image.Image:
    """Put a transparent image on white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
