"""The search for the most probable numbers, among all or only among those that an automaton accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from mnist_cnn.reading.numbers.ctc import BLANK

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEAM = 16  # prefixes kept per column
_NEGLIGIBLE = 1e-3  # share of the best prefix's probability; what follows is as probable after any prefix


Weights: TypeAlias = "dict[int, float]"  # the probability of each symbol that is not negligible


def to_weights(logs: NDArray[np.float64]) -> list[Weights]:
    """Convert rows of log-probabilities, [n, 11], to weights."""
    return [
        {symbol: weight for symbol, weight in enumerate(row) if weight > _NEGLIGIBLE} for row in np.exp(logs).tolist()
    ]


class Guide(Protocol):
    """Tells a search how probable each symbol is next, and may restrict it to the texts that an automaton accepts."""

    def weights(self, column: int, ends: Sequence[tuple[int, int]]) -> list[Weights]:
        """Return the probability of each symbol in a column, given how a path ended before it.

        Args:
            column: 0 to t - 1.
            ends: The automaton's state and the last symbol of each path.
        """

    def follow(self, state: int, digit: int) -> int:
        """Return the automaton's state after one more digit. The first state is 0."""


class Free:
    """The guide to all texts."""

    def __init__(self, columns: NDArray[np.float64]) -> None:
        self._rows = to_weights(columns)

    def weights(self, column: int, ends: Sequence[tuple[int, int]]) -> list[Weights]:
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
        scale = 1 / max(map(sum, grown.values()))  # relative to the best: hundreds of columns would underflow
        live = {
            prefix: (blank * scale, digit * scale)
            for prefix, (blank, digit) in grown.items()
            if (blank + digit) * scale > _NEGLIGIBLE
        }
        if len(live) > beam:
            live = {prefix: live[prefix] for prefix in _best_first(live)[:beam]}
    return [prefixes.text(prefix) for prefix in _best_first(live)]


def _best_first(live: Mapping[int, tuple[float, float]]) -> list[int]:
    return sorted(live, key=lambda prefix: sum(live[prefix]), reverse=True)


def _step(
    guide: Guide, column: int, prefixes: _Prefixes, live: Mapping[int, Sequence[float]]
) -> Mapping[int, list[float]]:
    """Continue every live prefix by one column."""
    ends = [(prefixes.states[prefix], symbol) for prefix in live for symbol in (BLANK, prefixes.symbols[prefix])]
    rows = iter(guide.weights(column, ends))
    grown: dict[int, list[float]] = {}
    for prefix, masses in live.items():
        same = grown.setdefault(prefix, [0.0, 0.0])
        for mass, last, row in zip(masses, (BLANK, prefixes.symbols[prefix]), rows, strict=False):
            for symbol, weight in row.items() if mass else ():
                if symbol == BLANK:
                    same[0] += mass * weight
                elif symbol == last:
                    same[1] += mass * weight
                else:
                    grown.setdefault(prefixes.extend(prefix, symbol, guide), [0.0, 0.0])[1] += mass * weight
    return grown
