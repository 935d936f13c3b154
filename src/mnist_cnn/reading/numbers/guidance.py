"""Decode under a constraint: the product of CTC's paths and an automaton, summed exactly.

A path's future depends on its column, the automaton's state after the digits so far, and its last symbol, because a
repeated symbol is no new digit. The probability that a path ends in an accepted text is computed from the last column
to the first, as in the backward algorithm of a hidden Markov model (Rabiner 1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.reading.numbers.ctc import BLANK, SYMBOLS
from mnist_cnn.reading.numbers.prefix_search import to_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.reading.numbers.automaton import Automaton
    from mnist_cnn.reading.numbers.prefix_search import Weights

_DIGITS = np.arange(1, SYMBOLS)  # the symbols of the digits


class Constrained:
    """The guide to the texts that an automaton accepts.

    It weighs a symbol by the probability that the rest of the number fits (Doob's h-transform). So the weights sum to
    1, and a search meets only what can be completed in the columns that are left.

    Attributes:
        log_fit: Logarithm of the probability that the number fits, summed over all paths; -inf if no text that fits
            has room in the columns.
    """

    def __init__(self, columns: NDArray[np.float64], automaton: Automaton) -> None:
        self._columns = columns
        self._transitions = automaton.transitions
        self._futures = _futures(columns, automaton)
        self.log_fit = float(self._futures[0, 0, BLANK])

    def weights(self, column: int, ends: Sequence[tuple[int, int]]) -> list[Weights]:
        """Return the probability of each symbol, given that the number fits."""
        states, last = np.array(ends, np.intp).T  # [n] each
        now, after = self._futures[column], self._futures[column + 1]
        logs = np.empty((len(states), SYMBOLS))
        logs[:, BLANK] = after[states, BLANK]
        logs[:, 1:] = after[self._transitions[states], _DIGITS]
        repeated = np.flatnonzero(last)
        logs[repeated, last[repeated]] = after[states[repeated], last[repeated]]
        before = now[states, last][:, np.newaxis]
        logs += self._columns[column] - np.where(np.isneginf(before), 0, before)  # no path ends where nothing fits
        return to_weights(logs)

    def follow(self, state: int, digit: int) -> int:
        """Return the automaton's state after one more digit."""
        return int(self._transitions[state, digit])


def _futures(columns: NDArray[np.float64], automaton: Automaton) -> NDArray[np.float64]:
    """Return the log-probability that a path from here on ends in an accepted text.

    Returns:
        float64 [t + 1, s + 1, 11], by the column that is next, the state, and the last symbol. The last state is
        `NOWHERE`.
    """
    states = len(automaton.accepting)
    futures = np.full((len(columns) + 1, states + 1, SYMBOLS), -np.inf)
    futures[-1, :states] = np.where(automaton.accepting, 0, -np.inf)[:, np.newaxis]
    for column, after, now in zip(columns[::-1], futures[:0:-1], futures[-2::-1], strict=True):
        digits = column[1:] + after[automaton.transitions, _DIGITS]  # [s, 10], by the digit that is next
        blank = column[BLANK] + after[:states, BLANK]  # [s]
        now[:states, BLANK] = np.logaddexp(blank, np.logaddexp.reduce(digits, axis=1))
        fresh = np.logaddexp(blank[:, np.newaxis], _all_others(digits))
        now[:states, 1:] = np.logaddexp(fresh, column[1:] + after[:states, 1:])
    return futures


def _all_others(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each entry of a row the logarithm of the sum of all others.

    A sum less its entry would lose what is small beside the entry.
    """
    before = np.logaddexp.accumulate(logs, axis=1)
    after = np.logaddexp.accumulate(logs[:, ::-1], axis=1)[:, ::-1]
    others = np.empty_like(logs)
    others[:, 0], others[:, -1] = after[:, 1], before[:, -2]
    np.logaddexp(before[:, :-2], after[:, 2:], out=others[:, 1:-1])
    return others
