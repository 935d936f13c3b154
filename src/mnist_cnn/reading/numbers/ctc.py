"""Connectionist temporal classification (CTC; Graves et al. 2006): how probable a number is, given a network's scores.

A path is one symbol per column: class 0 is the blank, class 1 + d is digit d. A path means the text that remains after
repeated symbols are merged and blanks dropped; a text's probability is the sum over all of its paths.

Everything here takes `columns`: float64 [t, 11], the natural logarithms of the symbols' probabilities per column.
"""

from __future__ import annotations

import math
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
_LEAST = 1e-100  # probability of a text; below it, float64 may lose paths, and logarithms are added instead


def log_probabilities(scores: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return log(softmax(scores / temperature)).

    Args:
        scores: [t, 11], logits.
        temperature: Of calibration, above 0.

    Returns:
        float64 [t, 11].
    """
    scaled = np.asarray(scores, np.float64) / temperature
    logarithms: NDArray[np.float64] = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    return logarithms


def best_path(columns: NDArray[np.float64]) -> str:
    """Return the text that the most probable path means: mostly, but not always, the most probable text.

    Args:
        columns: float64 [t, 11].
    """
    path = columns.argmax(axis=1).tolist()
    starts = (symbol for symbol, before in zip(path, [BLANK, *path], strict=False) if symbol != before)
    return "".join(str(symbol - 1) for symbol in starts if symbol != BLANK)


def text_log_probabilities(columns: NDArray[np.float64], texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the logarithm of each text's probability, the sum over all of its paths (CTC's forward algorithm).

    Args:
        columns: float64 [t, 11].
        texts: Any number of texts of digits.

    Returns:
        float64 [n]; -inf for a text that needs more columns than there are.
    """
    rows = np.exp(columns).tolist()
    sums = ((text, sum(_forward(rows, text)[-1][-2:])) for text in texts)
    return np.array([math.log(total) if total > _LEAST else _log_sum(columns, text) for text, total in sums])


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
    before, after = _forward_backward(columns, text)
    symbols = [int(digit) + 1 for digit in text]
    occupancy = (before[1:] + after[:-1])[:, 1::2] - columns[:, symbols]  # [t, n]; both contain the column itself
    return Alignment(occupancy.argmax(axis=0), _substitutes(columns, text, before[:-1], after[1:]))


def _forward_backward(columns: NDArray[np.float64], text: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the logarithms of the variables of the columns before a place, and from it on: [t + 1, 2 n + 1] each."""
    rows, behind = np.exp(columns).tolist(), text[::-1]
    ahead = _forward(rows, text)
    if sum(ahead[-1][-2:]) > _LEAST:
        with np.errstate(divide="ignore"):
            before, after = np.log([ahead, _forward(rows[::-1], behind)])
    else:
        before, after = _log_forward(columns, text), _log_forward(columns[::-1], behind)
    return before, after[::-1, ::-1]


def _substitutes(
    columns: NDArray[np.float64], text: str, before: NDArray[np.float64], after: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum over all columns in which a digit in a place may begin and end: [n, 10]."""
    held = total = np.full((len(text), 10), _NEVER)
    for block in range(0, len(columns), _BLOCK):
        part = slice(block, block + _BLOCK)
        arriving = _neighbours(before[part], text)  # [b, n, 10]
        leaving = _neighbours(after[part, ::-1], text[::-1])[:, ::-1]
        arriving[0] = np.logaddexp(arriving[0], held)
        column = columns[part, np.newaxis, 1:]
        along = column.cumsum(axis=0)  # from the block's first column on
        ending = np.logaddexp.accumulate(arriving - (along - column), axis=0) + along
        held = ending[-1]
        total = np.logaddexp(total, np.logaddexp.reduce(ending + leaving, axis=0))
    return total


def _neighbours(lattice: NDArray[np.float64], text: str) -> NDArray[np.float64]:
    """Return the log-probability from which a path may go on to each digit in each place: [t, n, 10].

    That is the blank before the place, and the digit before that blank unless it is the same.
    """
    blanks, digits = lattice[:, 0:-1:2], lattice[:, 1:-2:2]  # [t, n], [t, n - 1]
    neighbours = np.repeat(blanks[:, :, np.newaxis], 10, axis=2)
    neighbours[:, 1:] = np.logaddexp(blanks[:, 1:], digits)[:, :, np.newaxis]
    neighbours[:, np.arange(1, len(text)), [int(digit) for digit in text[:-1]]] = blanks[:, 1:]
    return neighbours


def _lattice(text: str) -> list[tuple[int, bool]]:
    """Return a text's symbols with a blank around each, and whether a path may skip the blank before it."""
    symbols = [BLANK] * (2 * len(text) + 1)
    symbols[1::2] = [int(digit) + 1 for digit in text]
    return [(one, one not in (BLANK, before)) for one, before in zip(symbols, [BLANK, BLANK, *symbols], strict=False)]


def _forward(rows: list[list[float]], text: str) -> list[list[float]]:
    """Compute a text's forward variables: the probability of all paths that end with a symbol of its lattice.

    Plain Python, because NumPy takes several times as long for so many operations on so few values.

    Args:
        rows: [t][11], the symbols' probabilities.
        text: Any.

    Returns:
        [t + 1][2 n + 1], before the first column, where a path is as after a blank, and after each.
    """
    lattice = _lattice(text)
    variables = [[1.0] + [0.0] * (len(lattice) - 1)]
    for row in rows:
        one = two = 0.0
        reached = []
        for (symbol, may_skip), held in zip(lattice, variables[-1], strict=True):
            reached.append((held + one + two if may_skip else held + one) * row[symbol])
            one, two = held, one
        variables.append(reached)
    return variables


def _log_sum(columns: NDArray[np.float64], text: str) -> float:
    return float(np.logaddexp.reduce(_log_forward(columns, text)[-1, -2:]))


def _log_forward(columns: NDArray[np.float64], text: str) -> NDArray[np.float64]:
    """Compute the logarithms of the variables of `_forward`, [t + 1, 2 n + 1], which may be too small for it."""
    symbols, may_skip = np.array(_lattice(text), np.intp).T  # [m] each
    penalty = np.where(may_skip, 0.0, _NEVER)
    variables = np.full((len(columns) + 1, len(symbols) + 2), _NEVER)  # after two symbols that are none
    variables[0, 2] = 0
    for previous, current, emission in zip(variables, variables[1:], columns[:, symbols], strict=False):
        reached = np.logaddexp(previous[2:], previous[1:-1])
        np.add(np.logaddexp(reached, previous[:-2] + penalty), emission, out=current[2:])
    return variables[:, 2:]
