"""Commands that the user can paste into the shell of this system."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

_WINDOWS = os.name == "nt"


def join(words: Iterable[str]) -> str:
    """Return a command line, quoted where this system's shell needs it."""
    return " ".join(map(quote, words))


def quote(word: str) -> str:
    """Return one word of a command line. Windows' cmd.exe takes only double quotes."""
    if not _WINDOWS:
        return shlex.quote(word)
    return word if word and all(letter.isalnum() or letter in "\\/:._-" for letter in word) else f'"{word}"'
