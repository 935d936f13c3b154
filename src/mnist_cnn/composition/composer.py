"""Composed samples: what the network sees, with what it should read there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.composition import marks, writing
from mnist_cnn.composition.hands import Hand
from mnist_cnn.composition.paper import scenes
from mnist_cnn.composition.pasting import paste
from mnist_cnn.composition.writing import Frame, Writer, WrittenLine, compose_line, compose_other
from mnist_cnn.reading.numbers.line_preparation import prepare_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.hands import Stroke
    from mnist_cnn.composition.paper.scenes import Scene

_LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
_LENGTH_WEIGHTS = np.array([5, 20, 20, 18, 18, 9, 4, 3, 1.5, 1.5]) / 100
_FRAMES: dict[Scene, tuple[Frame, ...]] = {
    scenes.cheque: (writing.tight, writing.tight, writing.tight, writing.loose),
    scenes.ledger: (writing.cell,) * 5 + (writing.loose,),
}
_LONGEST_IN_CELL = 6  # digits; a photographed cell has too few pixels for more
_OTHER, _EMPTY = 0.06, 0.01  # shares of pictures without a number
_SEVERAL, _WORDS = 0.2, 0.48  # of the former: several numbers below each other, and words; the rest is clutter
_PASTED = 0.2  # share of pictures pasted together from pictures of digits, if there are any
_ON_PAPER = 0.3  # of them; the others stay as light and clean as they were pasted
_BY_HAND, _TRACED = 0.55, 0.35  # shares of strings drawn by code, and traced from real digits; the rest mixes both
_ROUND, _REPEATED = 0.12, 0.1  # shares of strings that end in zeros, and that repeat digits
_AMOUNTS = 0.4  # share of strings whose first digit has the frequencies of amounts and counts
_FIRST_DIGITS = np.diff(np.log10(np.arange(1, 11)))  # of 1 to 9: Newcomb 1881, Benford 1938


@dataclass(frozen=True, eq=False)
class ComposedLine:
    """One composed picture, prepared."""

    image: NDArray[np.uint8]  #: uint8 [32, w], as `prepare` returns it
    text: str  #: the digits
    boxes: NDArray[np.float32]  #: float32 [n, 4], left, top, right, bottom of each digit, pixels of `image`


@dataclass(frozen=True, eq=False)
class Composer:
    """Composes samples from digits by hands and traced digits."""

    traced: Sequence[Sequence[list[Stroke]]]  #: for each digit, the strokes of real ones
    pictures: Sequence[NDArray[np.uint8]] = ()  #: for each digit, uint8 [n, 28, 28], real ones to paste together

    def compose(self, random: np.random.Generator) -> ComposedLine:
        """Compose one picture of a number, or of something else, and prepare it."""
        picture, line = self.compose_picture(random)
        return _prepared(line, picture)

    def compose_picture(self, random: np.random.Generator) -> tuple[NDArray[np.uint8], WrittenLine]:
        """Compose one picture of a number, or of something else: uint8 [h, w], with what is written there."""
        is_pasted = bool(self.pictures) and random.random() < _PASTED
        is_bare = is_pasted and random.random() >= _ON_PAPER
        scene = scenes.bare if is_bare else scenes.choose_scene(random)
        line = self._pasted(random) if is_pasted else self._line(scene, random)
        return scene(line.coverage, line.digit_height, random), line

    def _line(self, scene: Scene, random: np.random.Generator) -> WrittenLine:
        frames = _FRAMES.get(scene, (writing.tight, writing.cell, writing.loose))
        frame = frames[int(random.integers(len(frames)))]
        kind = random.random()
        if kind < _EMPTY:
            height = int(random.uniform(50, 90))
            blank = np.zeros((height, int(height * random.uniform(1, 4))), np.float32)
            return WrittenLine(blank, "", np.zeros((0, 4), np.float32), 50.0)
        if kind < _EMPTY + _OTHER:
            return compose_other(self._other(random), frame, random)
        text = draw_text(random, in_cell=frame is writing.cell)
        return compose_line(text, self.writer(random), frame, random)

    def _other(self, random: np.random.Generator) -> list[Stroke]:
        """Draw a word, clutter, or several numbers."""
        kind = random.random()
        if kind < _SEVERAL:
            texts = [draw_text(random) for _ in range(int(random.integers(2, 4)))]
            return writing.stack(texts, self.writer(random), random)
        return (marks.word if kind < _SEVERAL + _WORDS else marks.clutter)(random)

    def _pasted(self, random: np.random.Generator) -> WrittenLine:
        text = draw_text(random)
        known = [self.pictures[int(digit)] for digit in text]
        return paste([each[int(random.integers(len(each)))] for each in known], text, random)

    def writer(self, random: np.random.Generator) -> Writer:
        """Choose one writer."""
        kind = random.random()
        if kind < _TRACED:
            return self.trace
        hand = Hand.random(random)
        if kind < _TRACED + _BY_HAND:
            return hand.write
        by_hand = random.random(10) < 0.5

        def write(digit: int, random: np.random.Generator) -> list[Stroke]:
            return hand.write(digit, random) if by_hand[digit] else self.trace(digit, random)

        return write

    def trace(self, digit: int, random: np.random.Generator) -> list[Stroke]:
        """Give a real digit's strokes."""
        known = self.traced[digit]
        return known[int(random.integers(len(known)))]


def draw_text(random: np.random.Generator, *, in_cell: bool = False) -> str:
    """Draw the digits of a number; in the cell of a form they are mostly few."""
    length = int(random.choice(_LENGTHS, p=_LENGTH_WEIGHTS))
    if in_cell:
        length = min(length, int(random.integers(1, 4)) if random.random() < 0.7 else _LONGEST_IN_CELL)
    digits = random.integers(10, size=length)
    if random.random() < _AMOUNTS:
        digits[0] = 1 + random.choice(9, p=_FIRST_DIGITS)
    kind = random.random()
    if kind < _ROUND and length > 2:
        digits[int(random.integers(1, length)) :] = 0
    elif kind < _ROUND + _REPEATED:
        start = int(random.integers(length))
        digits[start : start + int(random.integers(2, 5))] = digits[start]
    return "".join(map(str, digits.tolist()))


def _prepared(line: WrittenLine, picture: NDArray[np.uint8]) -> ComposedLine:
    prepared = prepare_levels(picture)
    scale = np.array(prepared.image.shape[::-1], np.float32) / np.array(line.coverage.shape[::-1], np.float32)
    return ComposedLine(prepared.image, line.text, line.boxes * np.tile(scale, 2))
