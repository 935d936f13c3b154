"""The other way to read a number, for `whole_numbers`: cut its picture into digits, and classify each of them.

Where to cut can often be told only after the digits are read. So shapes of ink are cut at more places than needed
(`number_parts`), and every run of neighbouring parts that may be one digit is a piece, read by the recogniser of single
digits. Pieces that follow each other are one way to cut the picture; dynamic programming goes through all of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.reading.ink import Prepared
from mnist_cnn.reading.numbers.decoding import SURPRISE
from mnist_cnn.reading.numbers.line_preparation import PreparedLine
from mnist_cnn.reading.numbers.looks import Look, considered, judge_together
from mnist_cnn.reading.recognizer import Recognizer
from number_parts import Outline, divide

# Chosen on development pictures of cheques and ledgers. Lengths are shares of the digits' height:
WIDEST, LOWEST = 1.4, 0.3  # of a digit of several parts; of any digit
SMALL, LARGE = 0.7, 1.3  # heights of usual digits
DOT = 0.35  # height of what is passed over at no cost
UNLIKELY = 1e-4  # the least probability of a class
# Logarithms of probabilities:
CUT = -0.1  # of each cut at which a piece ends
UNUSUAL = -4.0  # of the square of the logarithm of a piece's height, beyond the usual
SKIPPED = -4.0  # of each digit's height of what is passed over, beyond a dot's


@dataclass(frozen=True, eq=False)
class Cuttings:
    """All ways to cut a picture, and how probable they are."""

    pieces: list[tuple[int, int]]  #: the first part of each, and the one after its last
    classes: NDArray[np.float64]  #: [n, 10], log-probability of each digit, given that the piece is one
    shapes: NDArray[np.float64]  #: [n], log-probability that the piece is a digit
    skipped: list[float]  #: log-probability of each part not to belong to a digit

    def best(self) -> tuple[str, float]:
        """Return the number of the most probable way to cut, and the log-probability of its digits."""
        logs = self.classes.max(axis=1)
        found = [(0.0, "", 0.0)]
        for end, skipped in enumerate(self.skipped, 1):
            score, text, digits = found[-1]
            ways = [(score + skipped, text, digits)]
            for piece, start in self._ending(end):
                score, text, digits = found[start]
                text += str(self.classes[piece].argmax())
                ways.append((score + float(logs[piece] + self.shapes[piece]), text, digits + float(logs[piece])))
            found.append(max(ways))
        _, text, digits = found[-1]
        return text, digits if text else -math.inf

    def judge(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the logarithm of each text's probability among all numbers: the sum over all ways to cut."""
        logs = self.classes + self.shapes[:, np.newaxis]
        any_digit = np.repeat(np.logaddexp.reduce(logs, axis=1)[:, np.newaxis], len(self.skipped), axis=1)
        every = np.logaddexp.reduce(self._sums(any_digit))
        sums = [self._sums(logs[:, [int(digit) for digit in text]])[-1] for text in texts]
        return np.array(sums, np.float64) - np.float64(every)

    def _sums(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over all ways to cut into 0 to m digits; logs, [n, m], says how probable each piece is as digit i."""
        reached = np.full((len(self.skipped) + 1, logs.shape[1] + 1), -np.inf)  # [parts + 1, digits + 1]
        reached[0, 0] = 0
        for end, skipped in enumerate(self.skipped, 1):
            reached[end] = reached[end - 1] + skipped
            for piece, start in self._ending(end):
                reached[end, 1:] = np.logaddexp(reached[end, 1:], reached[start, :-1] + logs[piece])
        sums: NDArray[np.float64] = reached[-1]
        return sums

    def _ending(self, end: int) -> list[tuple[int, int]]:
        return [(piece, start) for piece, (start, stop) in enumerate(self.pieces) if stop == end]


def cut(line: PreparedLine, recognizer: Recognizer) -> Cuttings:
    """Find all ways to cut a picture, and read all pieces at once.

    Args:
        line: From `line_preparation`.
        recognizer: Reads single digits.
    """
    parts = divide(line)
    count = len(parts.spans)
    runs = itertools.combinations(range(count + 1), 2)
    outlines = {run: parts.outline(run) for run in runs if run[1] - run[0] == 1 or parts.width(run) < WIDEST}
    pieces = [run for run, outline in outlines.items() if outline.height > LOWEST]
    readings = recognizer.read_prepared([Prepared(parts.picture(run), has_ink=True) for run in pieces])
    classes = np.array([each.probabilities for each in readings], np.float64).reshape(-1, 10).clip(UNLIKELY, None)
    shapes = np.array([_log_digit(outlines[run]) for run in pieces])
    return Cuttings(pieces, np.log(classes), shapes, [_log_skipped(outlines[i, i + 1]) for i in range(count)])


def most_probable_with_cutting(own: Sequence[Look], cuttings: Cuttings) -> tuple[str, float]:
    """Find the number that is most probable to the reader of whole lines and to cutting, which count the same.

    Returns:
        The number, and the logarithm of its probability among all numbers that either considers.
    """
    text, _ = cuttings.best()
    texts = considered(own)
    if text and texts and text not in texts and own[0].judge([text])[0] > -math.inf:
        texts.append(text)
    if not texts:
        return "", -math.inf
    logs = (judge_together(own, texts) + np.logaddexp(cuttings.judge(texts), SURPRISE)) / 2
    best = int(logs.argmax())
    return texts[best], float(logs[best] - np.logaddexp.reduce(logs))


def _log_digit(outline: Outline) -> float:
    """Return the log-probability that a piece of this outline is a digit."""
    unusual = max(0, math.log(SMALL / outline.height), math.log(outline.height / LARGE))
    return CUT * outline.cuts + UNUSUAL * unusual**2


def _log_skipped(outline: Outline) -> float:
    """Return the log-probability that a part of this outline does not belong to a digit."""
    return CUT * outline.cuts + SKIPPED * max(0.0, outline.height - DOT)
