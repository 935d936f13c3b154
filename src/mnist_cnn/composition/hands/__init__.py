"""Handwriting drawn by code: a `Hand` is one writer, who writes digits as pen strokes."""

from mnist_cnn.composition.hands.forms import Stroke
from mnist_cnn.composition.hands.hand import Hand

__all__ = ["Hand", "Stroke"]
