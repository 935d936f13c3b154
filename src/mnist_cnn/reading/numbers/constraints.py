"""What is known about a number before it is read: how many digits it has, and which pattern it follows."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, TypeAlias

from mnist_cnn.errors import SettingError, quote
from mnist_cnn.reading.numbers.automaton import ANY_DIGITS, NOWHERE, TooComplexError, build, express

if TYPE_CHECKING:
    from mnist_cnn.reading.numbers.automaton import Automaton, Expression

Length: TypeAlias = "int | str | tuple[int, int]"

MAX_DIGITS = 200  # of a length that can be asked for
MAX_PATTERN = 1000  # characters
_SHOWN = 60  # characters of what the caller typed, in messages
VALID_LENGTH = f"Valid: a number of digits from 1 to {MAX_DIGITS}, such as 5, or a range, such as 3-6"
VALID_PATTERN = r"Give a regular expression over digits, such as [1-9]\d{4}"
_ESCAPES_AND_SETS = re.compile(r"\\.|\[\^?\]?[^]]*\]", re.DOTALL)  # where ^ and $ are no anchors
_EXAMPLE_PARTS = r"digits, \d, [1-9], (…|…), ?, *, + and {2,5}"


@dataclass(frozen=True)
class Constraint:
    """Restricts readings to numbers of some lengths that match a pattern as a whole.

    Attributes:
        shortest: Minimum number of digits.
        longest: Maximum number of digits; None for any.
        pattern: A regular expression; None for any digits.
    """

    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None

    @classmethod
    def of(cls, length: Length | None = None, pattern: str | None = None) -> Constraint | None:
        """Check what the caller asks for. None if there is no constraint.

        Args:
            length: Number of digits: 5, "5", "3-6" or (3, 6).
            pattern: A regular expression over digits, matched against the whole number.

        Raises:
            SettingError: A length or pattern is invalid or too complex, or no number fits both.
        """
        if length is None and pattern is None:
            return None
        shortest, longest = (0, None) if length is None else _limits(length)
        if pattern is not None and not isinstance(pattern, str):
            raise SettingError(f"pattern = {quote(str(pattern), _SHOWN)} is not text. {VALID_PATTERN}.")
        constraint = cls(shortest, longest, pattern)
        _automaton(constraint)
        return constraint

    @property
    def automaton(self) -> Automaton:
        """The automaton that accepts the numbers that fit."""
        return _automaton(self)


def _limits(length: Length) -> tuple[int, int]:
    if isinstance(length, str):
        found = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:[-–]\s*([0-9]{1,9})\s*)?", length)
        limits: tuple[object, ...] = tuple(int(part or found[1]) for part in found.groups()) if found else ()
    else:
        limits = tuple(length) if isinstance(length, (tuple, list)) else (length, length)
    whole = [int(limit) for limit in limits if isinstance(limit, Integral) and not isinstance(limit, bool)]
    if len(whole) == len(limits) == 2 and 1 <= whole[0] <= whole[1] <= MAX_DIGITS:
        return whole[0], whole[1]
    raise SettingError(f"length = {quote(str(length), _SHOWN)} is not valid. {VALID_LENGTH}.")


@functools.lru_cache(maxsize=64)
def _automaton(constraint: Constraint) -> Automaton:
    pattern = constraint.pattern
    shown = "" if pattern is None else f"the pattern {quote(pattern, _SHOWN)}"
    try:
        expression = ANY_DIGITS if pattern is None else _parse(pattern, shown)
        automaton = build(expression, constraint.shortest, constraint.longest)
    except TooComplexError as error:
        raise SettingError(f"{shown} is too complex: {error}. Give a simpler one, or fewer repetitions.") from None
    if automaton is None or bool((automaton.transitions == NOWHERE).all()):  # at most the empty text, no number
        if constraint.longest is None:
            raise SettingError(f"{shown} matches no number. {VALID_PATTERN}.")
        length = _digits(constraint.shortest, constraint.longest)
        raise SettingError(f"{shown} matches no number of {length}. Change the length or the pattern.")
    return automaton


def _digits(low: int, high: int) -> str:
    count = f"{low}" if low == high else f"{low} to {high}"
    return f"{count} digit{'' if high == 1 else 's'}"


def _parse(pattern: str, shown: str) -> Expression:
    """Parse a pattern that has to match a whole number, so that anchors at its ends change nothing."""
    if len(pattern) > MAX_PATTERN:
        raise SettingError(f"{shown} has {len(pattern):,} characters; at most {MAX_PATTERN:,} are read. Shorten it.")
    from greenery import parse  # costs 10 ms, and only patterns need it

    text = pattern.removeprefix("^")
    text = text[:-1] if re.search(r"(?<!\\)(?:\\\\)*\$$", text) else text
    if set("^$") & set(_ESCAPES_AND_SETS.sub("", text)):
        raise SettingError(f"{shown} has ^ or $ inside. Leave them out: a pattern always matches the whole number.")
    try:
        return express(parse(text))
    except TooComplexError:
        raise
    except RecursionError:
        raise SettingError(f"{shown} is nested too deeply. Give a simpler one.") from None
    except Exception as error:  # greenery's parser raises errors of many kinds: NoMatch, index, value, …
        reason = _reversed(pattern) or _unread(error, pattern, len(pattern) - len(pattern.removeprefix("^")))
        raise SettingError(
            f"{shown} cannot be read{reason}. It may contain {_EXAMPLE_PARTS}. {VALID_PATTERN}."
        ) from None


def _reversed(pattern: str) -> str:
    """Return which range or which limits of repetitions have the larger value first; empty if none has."""
    for each in _ESCAPES_AND_SETS.findall(pattern):
        for first, last in re.findall(r"(\w)-(\w)", each):
            if first > last:
                return f": the range {first}-{last} is in reverse order, write {last}-{first}"
    for least, most in re.findall(r"\{(\d+),(\d+)\}", _ESCAPES_AND_SETS.sub("", pattern)):
        if int(least) > int(most):
            return f": {{{least},{most}}} is in reverse order, write {{{most},{least}}}"
    return ""


def _unread(error: Exception, pattern: str, skipped: int) -> str:
    """Return from where on greenery does not understand a pattern; empty if it does not say so."""
    found = re.search(r"beyond index (\d+)$", str(error))
    start = skipped + int(found[1]) if found else 0
    return f" from {quote(pattern[start:], _SHOWN)} on" if start else ""
