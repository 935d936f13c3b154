"""Automata over the ten digits: built within fixed limits from a regular expression and limits of length.

greenery parses the expression; its own construction of automata has no limits, and expressions come over HTTP. Here,
the positions of an expression are counted before anything is built (Glushkov 1961: one state per position, no
exponential growth), and the construction of the deterministic automaton, which can grow exponentially, stops at a
number of states.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from greenery import Charclass, Multiplier, Pattern
    from numpy.typing import NDArray

MAX_POSITIONS = 1000  # digits in an expression, after its repetitions are written out
MAX_STATES = 400  # of a minimal automaton; time and memory of reading grow with them
_MAX_SUBSETS = 1000  # states before they are merged
NOWHERE = -1
_DIGITS = "0123456789"


class TooComplexError(Exception):
    """An expression exceeds one of the limits."""


@dataclass(frozen=True, eq=False)
class Automaton:
    """A minimal deterministic automaton. Each state can be reached, and an accepting state can be reached from it."""

    transitions: NDArray[np.intp]  #: [s, 10], the state after each digit, or `NOWHERE`; the first state is 0
    accepting: NDArray[np.bool_]  #: [s]

    def accepts(self, text: str) -> bool:
        """Return whether a text of digits fits."""
        state = 0
        for digit in text:
            state = int(self.transitions[state, int(digit)])
            if state == NOWHERE:
                return False
        return bool(self.accepting[state])

    def accepted_substitutes(self, text: str) -> NDArray[np.bool_]:
        """Return whether the text with digit i replaced by d fits, for each i and d: [n, 10]."""
        # State `NOWHERE` is the last row, from which nothing leads anywhere else.
        transitions = np.concatenate([self.transitions, np.full((1, 10), NOWHERE)])
        states, state = np.full((len(text), 10), NOWHERE), 0
        for place, digit in enumerate(map(int, text)):
            states[:place] = transitions[states[:place], digit]
            states[place] = transitions[state]
            state = transitions[state, digit]
        fits: NDArray[np.bool_] = np.append(self.accepting, False)[states]
        return fits


@dataclass(frozen=True)
class _Positions:
    """Glushkov's construction of one part of an expression; sets of positions are the bits of an integer."""

    is_optional: bool  # the part matches the empty text
    first: int
    last: int


@dataclass(frozen=True)
class Expression:
    """Glushkov's construction of a whole expression."""

    part: _Positions
    masks: tuple[int, ...]  # the positions of each digit
    follow: tuple[int, ...]  # the positions after each position

    def after(self, states: int) -> int:
        """Return all positions that may follow a set of them."""
        return functools.reduce(int.__or__, (self.follow[bit] for bit in _bits(states)), 0)


ANY_DIGITS = Expression(_Positions(True, 1, 1), (1,) * 10, (1,))  # \d*


def express(tree: Pattern) -> Expression:
    """Construct the positions of an expression.

    Raises:
        TooComplexError: There are more than `MAX_POSITIONS`.
    """
    if (size := _size(tree)) > MAX_POSITIONS:
        raise TooComplexError(f"its repetitions are {size:,} digits long; at most {MAX_POSITIONS:,} are followed")
    builder = _Builder()
    return Expression(builder.pattern(tree), tuple(builder.masks), tuple(builder.follow))


def build(expression: Expression, shortest: int, longest: int | None) -> Automaton | None:
    """Build the automaton of the texts that match an expression and have a length within the limits.

    Args:
        expression: From `express`.
        shortest: Minimum number of digits.
        longest: Maximum number of digits; None for any.

    Returns:
        The automaton; None if no text fits.

    Raises:
        TooComplexError: It has more than `MAX_STATES` states.
    """
    automaton = _minimise(*_determinise(expression, shortest, longest))
    if automaton and (states := len(automaton.accepting)) > MAX_STATES:
        raise TooComplexError(f"it takes {states} states to follow, and at most {MAX_STATES} are possible")
    return automaton


def _size(part: Pattern | Charclass) -> int:
    """Count the positions of a part without building them."""
    if not hasattr(part, "concs"):
        return 1
    return sum(_size(mult.multiplicand) * _copies(mult.multiplier) for conc in part.concs for mult in conc.mults)


def _copies(multiplier: Multiplier) -> int:
    least, most = multiplier.min.v or 0, multiplier.max.v
    return max(least, 1) if most is None else most


class _Builder:
    """Numbers the positions and collects what may follow each."""

    def __init__(self) -> None:
        self.masks = [0] * 10
        self.follow: list[int] = []

    def pattern(self, tree: Pattern) -> _Positions:
        """Construct alternatives."""
        parts = [
            self._sequence(self._repeated(mult.multiplicand, mult.multiplier) for mult in conc.mults)
            for conc in tree.concs
        ]
        return _Positions(
            any(part.is_optional for part in parts),
            functools.reduce(int.__or__, (part.first for part in parts), 0),
            functools.reduce(int.__or__, (part.last for part in parts), 0),
        )

    def _sequence(self, parts: Iterable[_Positions]) -> _Positions:
        whole = _Positions(True, 0, 0)
        for part in parts:
            self._connect(whole.last, part.first)
            whole = _Positions(
                whole.is_optional and part.is_optional,
                whole.first | (part.first if whole.is_optional else 0),
                part.last | (whole.last if part.is_optional else 0),
            )
        return whole

    def _repeated(self, part: Pattern | Charclass, multiplier: Multiplier) -> _Positions:
        if not _size(part):  # it matches the empty text only, however often
            return _Positions(True, 0, 0)
        least, most = multiplier.min.v or 0, multiplier.max.v
        copies = []
        for index in range(_copies(multiplier)):
            copy = self._once(part)
            copies.append(_Positions(copy.is_optional or index >= least, copy.first, copy.last))
        if most is None:
            self._connect(copies[-1].last, copies[-1].first)
        return self._sequence(copies)

    def _once(self, part: Pattern | Charclass) -> _Positions:
        if hasattr(part, "concs"):
            return self.pattern(part)
        position = 1 << len(self.follow)
        self.follow.append(0)
        for digit, character in enumerate(_DIGITS):
            self.masks[digit] |= position if part.accepts(character) else 0
        return _Positions(False, position, position)

    def _connect(self, last: int, first: int) -> None:
        for position in _bits(last):
            self.follow[position] |= first


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _determinise(
    expression: Expression, shortest: int, longest: int | None
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Build the deterministic automaton (subset construction), of which a state is a set of positions and a length."""
    horizon = shortest if longest is None else longest  # lengths beyond it are alike
    start = (-1, 0)  # before any position
    numbers, queue = {start: 0}, [start]
    rows: list[list[int]] = []
    accepting: list[bool] = []
    for states, length in queue:
        is_match = expression.part.is_optional if states < 0 else bool(states & expression.part.last)
        accepting.append(is_match and length >= shortest)
        after = expression.part.first if states < 0 else expression.after(states)
        if longest is not None and length >= longest:
            after = 0
        row = []
        for mask in expression.masks:
            following = (after & mask, min(length + 1, horizon))
            if following[0] and following not in numbers:
                numbers[following] = len(queue)
                queue.append(following)
            row.append(numbers[following] if following[0] else NOWHERE)
        rows.append(row)
        if len(queue) > _MAX_SUBSETS:
            raise TooComplexError(
                f"it takes more than {_MAX_SUBSETS:,} states to follow, and at most {MAX_STATES} are possible"
            )
    return np.array(rows, np.intp), np.array(accepting)


def _minimise(transitions: NDArray[np.intp], accepting: NDArray[np.bool_]) -> Automaton | None:
    """Drop the states from which nothing is accepted, and merge those that accept the same (Moore 1956)."""
    is_alive = _alive(transitions, accepting)
    if not is_alive[0]:
        return None
    transitions = np.where(np.append(is_alive, False)[transitions], transitions, NOWHERE)
    digits = np.unique(transitions, axis=1).T  # those that lead to the same states everywhere are alike
    classes, count = accepting.astype(np.intp), 0
    while count != (count := len(np.unique(classes))):
        after = [_through(classes, digit) for digit in digits]
        for following in after:
            pairs = classes * (len(transitions) + 1) + following
            classes = np.unique(pairs, return_inverse=True)[1].reshape(-1)
    members = np.unique(classes, return_index=True)[1]  # one state of each class
    table = _through(classes, transitions[members])
    order = _reached(table, int(classes[0]))
    numbers = np.full(len(table), NOWHERE)
    numbers[order] = np.arange(len(order))
    return Automaton(_through(numbers, table[order]), accepting[members][order])


def _alive(transitions: NDArray[np.intp], accepting: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return from which states an accepting state can be reached."""
    is_alive = accepting
    while (wider := accepting | np.append(is_alive, False)[transitions].any(axis=1)).sum() > is_alive.sum():
        is_alive = wider
    return is_alive


def _through(numbers: NDArray[np.intp], transitions: NDArray[np.intp]) -> NDArray[np.intp]:
    """Replace each state in a table of transitions by its number."""
    return np.append(numbers, NOWHERE)[transitions]  # `NOWHERE` is the last index


def _reached(transitions: NDArray[np.intp], start: int) -> list[int]:
    """Return the states that can be reached, the first one first."""
    order = [start]
    seen = {start, NOWHERE}
    for state in order:
        for following in transitions[state].tolist():
            if following not in seen:
                seen.add(following)
                order.append(following)
    return order
