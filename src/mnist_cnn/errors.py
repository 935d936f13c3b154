"""The errors of this package: one tree, each with the exit code that the command line gives it.

A message is one line (a list of places tried may follow), names the bad value, what would be valid and the
next step.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LIST_AT_MOST = 15  # names; a longer list hides the suggestion


class MnistCnnError(Exception):
    """Anything this package raises on purpose: the caller was right, but the work failed (exit code 1)."""

    exit_code = 1


class InputError(MnistCnnError):
    """The caller's mistake: a bad option, a bad file, a missing extra (exit code 2)."""

    exit_code = 2


class DataError(InputError):
    """A data file that cannot be read as what it claims to be."""


class ModelFileError(InputError):
    """A model file that cannot be used: missing, damaged, of another form, or in need of code of its own."""


class DatasetUnavailableError(MnistCnnError):
    """A known data set that is neither at hand nor to be downloaded."""


class MissingExtraError(InputError):
    """An optional dependency that is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"this needs {module}, which is not installed. Install it with: pip install 'mnist-cnn[{extra}]'"
        )


def suggest(value: str, valid: Iterable[str]) -> str:
    """Say what would have been valid: "Did you mean 'conv3'? Valid: …".

    Args:
        value: What the caller wrote.
        valid: Every name that would have been accepted.

    Returns:
        One sentence or two, ready to end an error message. Many names are listed only where none is close.
    """
    names = sorted(valid)
    close = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    if close and len(names) > _LIST_AT_MOST:
        return f"Did you mean {close[0]!r}?"
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid: {', '.join(names)}."


def first_line(error: BaseException) -> str:
    """Give the first line of another library's message, cut to a length that fits a sentence."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__
