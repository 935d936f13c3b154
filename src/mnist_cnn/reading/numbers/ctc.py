"""Connectionist temporal classification (CTC; Graves et al. 2006): how probable a number is, given a network's scores.

A path is one symbol per column: class 0 is the blank, class 1 + d is digit d. A path means the text that remains after
repeated symbols are merged and blanks dropped; a text's probability is the sum over all of its paths.

Everything here takes `columns`: float64 [t, 11], the natural logarithms of the symbols' probabilities per column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLANK = 0  # class of the CTC blank
SYMBOLS = 11  # the blank and ten digits
_NEVER = -np.inf  # logarithm of probability 0
_BLOCK = 64  # columns whose substitutes are summed together; long texts would need much memory


def log_probabilities(scores: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return log(softmax(scores / temperature)).

    Args:
        scores: [t, 11], logits.
        temperature: Of calibration, above 0.

    Returns:
        float64 [t, 11].
    """
    scaled = np.asarray(scores, np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    logarithms: NDArray[np.float64] = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return logarithms


def best_path(columns: NDArray[np.float64]) -> str:
    """Return the text that the most probable path means: mostly, but not always, the most probable text.

    Args:
        columns: float64 [t, 11].
    """
    path = columns.argmax(axis=1)
    starts = path[np.diff(path, prepend=BLANK) != 0]
    return "".join(str(symbol - 1) for symbol in starts.tolist() if symbol != BLANK)


def text_log_probabilities(columns: NDArray[np.float64], texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the logarithm of each text's probability, the sum over all of its paths (CTC's forward algorithm).

    Args:
        columns: float64 [t, 11].
        texts: Any number of texts of digits.

    Returns:
        float64 [n]; -inf for a text that needs more columns than there are.
    """
    longest = max(map(len, texts), default=0)
    lattices = [_symbols(text) for text in texts]
    padded = np.array([[*row, *[BLANK] * (2 * longest + 1 - len(row))] for row in lattices], np.intp)  # [n, m]
    last = _forward(columns[:, padded], padded)[-1]  # [n, m]
    rows, ends = np.arange(len(texts)), np.array([2 * len(text) for text in texts])
    sums: NDArray[np.float64] = np.logaddexp(last[rows, ends], np.where(ends > 0, last[rows, ends - 1], _NEVER))
    return sums


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where each digit of a text is, and how probable each digit is in its place."""

    peaks: NDArray[np.intp]  #: [n], the column in which each digit is most probably written
    substitutes: NDArray[np.float64]  #: [n, 10], log-probabilities of the text with digit i replaced by d


def align(columns: NDArray[np.float64], text: str) -> Alignment:
    """Align a text with the columns.

    The peak of a digit is the column that most of the text's probability assigns to it (forward–backward algorithm,
    Graves et al. 2006, section 4.1). The probabilities of all texts that differ in one digit come from the same
    forward and backward variables: only the columns of that digit are summed again.

    Args:
        columns: float64 [t, 11], t ≥ 1.
        text: At least one digit; its probability is above 0.
    """
    symbols = _symbols(text)
    both = np.stack([symbols, symbols[::-1]])  # the text, and the text from behind
    emissions = np.stack([columns[:, both[0]], columns[::-1, both[1]]], axis=1)  # [t, 2, m]
    forward = _forward(emissions, both)
    before, after = forward[:, 0], forward[::-1, 1, ::-1]  # [t, m], up to and including a column, and from it on
    occupancy = (before + after - emissions[:, 0])[:, 1::2]  # [t, n]
    return Alignment(occupancy.argmax(axis=0), _substitutes(columns, text, before, after))


def _substitutes(
    columns: NDArray[np.float64], text: str, before: NDArray[np.float64], after: NDArray[np.float64]
) -> NDArray[np.float64]:
    outside = np.full((1, before.shape[1]), _NEVER)
    start, end = outside.copy(), outside.copy()
    start[0, 0], end[0, -1] = 0, 0  # a text begins as after a blank, and ends as before one
    before, after = np.concatenate([start, before[:-1]]), np.concatenate([after[1:], end])  # beside each column
    total: NDArray[np.float64] = np.full((len(text), 10), _NEVER)
    held = total
    for block in range(0, len(columns), _BLOCK):
        part = slice(block, block + _BLOCK)
        arriving = _neighbours(before[part], text)  # [b, n, 10]
        leaving = _neighbours(after[part, ::-1], text[::-1])[:, ::-1]
        for column, entering, parting in zip(columns[part, np.newaxis, 1:], arriving, leaving, strict=True):
            held = column + np.logaddexp(held, entering)
            total = np.logaddexp(total, held + parting)
    return total


def _neighbours(lattice: NDArray[np.float64], text: str) -> NDArray[np.float64]:
    """Return the log-probability from which a path may go on to each digit in each place: [t, n, 10].

    That is the blank before the place, and the digit before that blank unless it is the same.
    """
    blanks, digits = lattice[:, 0:-1:2], lattice[:, 1:-2:2]  # [t, n], [t, n - 1]
    same = np.array([int(digit) for digit in text[:-1]], np.intp)[:, np.newaxis] == np.arange(10)  # [n - 1, 10]
    neighbours = np.repeat(blanks[:, :, np.newaxis], 10, axis=2)
    neighbours[:, 1:] = np.logaddexp(neighbours[:, 1:], np.where(same, _NEVER, digits[:, :, np.newaxis]))
    return neighbours


def _symbols(text: str) -> NDArray[np.intp]:
    """Return a text's symbols with a blank around each: [2 n + 1]."""
    symbols = np.full(2 * len(text) + 1, BLANK)
    symbols[1::2] = [int(digit) + 1 for digit in text]
    return symbols


def _forward(emissions: NDArray[np.float64], symbols: NDArray[np.intp]) -> NDArray[np.float64]:
    """Compute the forward variables of texts: the log-probability of all paths that end with a symbol in a column.

    Args:
        emissions: float64 [t, …, m], the log-probability of each symbol of the texts in each column.
        symbols: [..., m], with a blank around each digit.

    Returns:
        float64 [t, …, m].
    """
    may_skip = (symbols != BLANK) & (symbols != np.roll(symbols, 2, axis=-1))  # the blank before it
    may_skip[..., :2] = False  # the two columns of padding are no symbols
    penalty = np.where(may_skip, 0.0, _NEVER)
    variables = np.full((len(emissions), *symbols.shape[:-1], symbols.shape[-1] + 2), _NEVER)
    variables[0, ..., 2:4] = emissions[0, ..., :2]
    for previous, current, emission in zip(variables, variables[1:], emissions[1:], strict=False):
        reached = np.logaddexp(previous[..., 2:], previous[..., 1:-1])
        np.add(np.logaddexp(reached, previous[..., :-2] + penalty), emission, out=current[..., 2:])
    return variables[..., 2:]
