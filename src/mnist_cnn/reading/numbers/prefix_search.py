"""The search for the most probable numbers, among all or only among those that an automaton accepts."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mnist_cnn.reading.numbers.ctc import BLANK, SYMBOLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEAM = 16  # prefixes kept per column
_NEGLIGIBLE = 1e-3  # share of the best prefix's probability; what follows is as probable after any prefix


class Guide(Protocol):
    """Tells a search how probable each symbol is next, and may restrict it to the texts that an automaton accepts."""

    def weights(self, column: int, ends: Sequence[tuple[int, int]]) -> list[list[float]]:
        """Return the probability of each of the 11 symbols in a column, given how a path ended before it.

        Args:
            column: 0 to t - 1.
            ends: The automaton's state and the last symbol of each path.
        """

    def follow(self, state: int, digit: int) -> int:
        """Return the automaton's state after one more digit. The first state is 0."""


class Free:
    """The guide to all texts."""

    def __init__(self, columns: NDArray[np.float64]) -> None:
        self._rows: list[list[float]] = np.exp(columns).tolist()

    def weights(self, column: int, ends: Sequence[tuple[int, int]]) -> list[list[float]]:
        """Return the column's probabilities for every path."""
        return [self._rows[column]] * len(ends)

    def follow(self, state: int, digit: int) -> int:
        """Return the only state."""
        return 0


@dataclass
class _Prefixes:
    """All prefixes that a search has met: a tree, so that a long prefix costs as little as a short one."""

    parents: list[int] = field(default_factory=lambda: [0])
    symbols: list[int] = field(default_factory=lambda: [BLANK])  # the last one of each prefix
    states: list[int] = field(default_factory=lambda: [0])
    children: dict[tuple[int, int], int] = field(default_factory=dict)

    def extend(self, prefix: int, symbol: int, guide: Guide) -> int:
        """Return the prefix that is one digit longer."""
        child = self.children.get((prefix, symbol))
        if child is None:
            child = self.children[prefix, symbol] = len(self.parents)
            self.parents.append(prefix)
            self.symbols.append(symbol)
            self.states.append(guide.follow(self.states[prefix], symbol - 1))
        return child

    def text(self, prefix: int) -> str:
        """Return the digits of a prefix."""
        digits = []
        while prefix:
            digits.append(str(self.symbols[prefix] - 1))
            prefix = self.parents[prefix]
        return "".join(reversed(digits))


def search(guide: Guide, count: int, beam: int = BEAM) -> list[str]:
    """Find probable texts with a prefix beam search (Hannun et al. 2014).

    With a guide that restricts the texts, a prefix counts by the probability that the number begins with it, given
    that the guide accepts the number. So no prefix is kept that cannot be completed, and the search never ends empty.

    Args:
        guide: It accepts at least one text.
        count: Number of columns.
        beam: Number of prefixes kept per column.

    Returns:
        At least one and at most `beam` texts, the best first. The order is exact only up to the prefixes dropped.
    """
    prefixes = _Prefixes()
    live = {0: (1.0, 0.0)}  # the probabilities of paths that end with a blank, and with the prefix's last digit
    for column in range(count):
        grown = _step(guide, column, prefixes, live)
        best = heapq.nlargest(beam, grown.items(), key=lambda item: sum(item[1]))
        scale = 1 / sum(best[0][1])  # relative to the best: hundreds of columns would underflow
        live = {
            prefix: (blank * scale, digit * scale)
            for prefix, (blank, digit) in best
            if (blank + digit) * scale > _NEGLIGIBLE
        }
    return [prefixes.text(prefix) for prefix in live]


def _step(
    guide: Guide, column: int, prefixes: _Prefixes, live: dict[int, tuple[float, float]]
) -> dict[int, list[float]]:
    """Continue every live prefix by one column."""
    ends = [(prefixes.states[prefix], symbol) for prefix in live for symbol in (BLANK, prefixes.symbols[prefix])]
    rows = iter(guide.weights(column, ends))
    grown: dict[int, list[float]] = {}
    for prefix, (blank, digit) in live.items():
        after_blank, after_digit = next(rows), next(rows)
        last = prefixes.symbols[prefix]
        mass = grown.setdefault(prefix, [0.0, 0.0])
        mass[0] += blank * after_blank[BLANK] + digit * after_digit[BLANK]
        mass[1] += digit * after_digit[last]
        least = _NEGLIGIBLE * (blank + digit)
        for symbol in range(1, SYMBOLS):
            gain = blank * after_blank[symbol] + (digit * after_digit[symbol] if symbol != last else 0.0)
            if gain > least:
                grown.setdefault(prefixes.extend(prefix, symbol, guide), [0.0, 0.0])[1] += gain
    return grown
