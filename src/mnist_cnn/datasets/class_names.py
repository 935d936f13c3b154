"""Names of classes: their order, and which names mean the same class in different styles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WORDS = re.compile(r"[^\W\d_]+|\d+")
_NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_PREFIXES = frozenset(("digit", "digits", "class", "cls", "label", "number", "num", "no"))


def number_of(name: str) -> int | None:
    """Return the number that a class name stands for: "3", "03", "three", "Digit 3", "class_3"; None for others."""
    words = [word for word in _WORDS.findall(name.casefold()) if word not in _PREFIXES]
    if len(words) != 1:
        return None
    if words[0].isdecimal():
        return int(words[0])
    return _NUMERALS.index(words[0]) if words[0] in _NUMERALS else None


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names of classes: by number if each stands for a different one, otherwise alphabetically."""
    names = sorted(names)
    numbers = [number for name in names if (number := number_of(name)) is not None]
    if len(set(numbers)) < len(names):
        return tuple(names)
    return tuple(name for _, name in sorted(zip(numbers, names, strict=True)))


def find_class(name: str, class_names: Sequence[str]) -> int | None:
    """Find the class that a name means: the name itself, or the only one that differs only in style.

    Style is how a number is written, punctuation, and case. Not style: the case of single letters, because "a" and "A"
    are two classes of letter data; and a name of punctuation only, such as "+".

    Args:
        name: Such as "7", "07", "seven", "Digit_7".
        class_names: Names of all classes, each in any style.

    Returns:
        Its index in `class_names`; None if there is no such class, or more than one.
    """
    if name in class_names:
        return class_names.index(name)
    if (essence := _essence(name)) is None:
        return None
    meant = [index for index, known in enumerate(class_names) if _essence(known) == essence]
    return meant[0] if len(meant) == 1 else None


def _essence(name: str) -> str | int | None:
    """Return what is left of a name without its style; None if nothing is."""
    if (number := number_of(name)) is not None:
        return number
    words = _WORDS.findall(name)
    telling = [word for word in words if word.casefold() not in _PREFIXES]
    if len(telling) == 1 and len(telling[0]) == 1:
        return str(telling[0])
    return "".join(words).casefold() or None
