"""The errors of this package: one tree, each with the exit code that the command line gives it.

A message is one line (a list of places tried may follow), names the bad value, what would be valid and the
next step.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable

_LIST_AT_MOST = 15  # names; a longer list hides the suggestion


class MnistCnnError(Exception):
    """Anything this package raises on purpose: the caller was right, but the work failed (exit code 1)."""

    exit_code = 1


class InputError(MnistCnnError):
    """The caller's mistake: a bad option, a bad file, a missing extra (exit code 2)."""

    exit_code = 2


class DataError(InputError):
    """Data that cannot be read as what they claim to be, or do not fit the model: a file, a folder, an array."""


class ImageError(DataError):
    """One picture that cannot be read."""


class ModelFileError(InputError):
    """A model file that cannot be used: missing, damaged, of another form, or in need of code of its own."""


class RunFolderError(InputError):
    """A folder of a run or a search that is missing, damaged, unfinished, in use, or begun with other data."""


class SettingError(InputError):
    """A setting that is not valid: an option, an argument, a recipe, an environment variable."""


class WriteError(MnistCnnError):
    """A result that could not be written: the disk is full, or the folder is not to be written."""


class DatasetUnavailableError(MnistCnnError):
    """A known data set that is not at hand and could not be downloaded."""


class DivergedError(MnistCnnError):
    """Training whose loss or weights became infinite or not a number."""


class MissingExtraError(InputError):
    """An optional dependency that is not installed."""

    def __init__(self, module: str, *extras: str) -> None:
        from mnist_cnn.environment.installation import install_command

        command = install_command(extras)
        self.remedy = command or f"install the extra {','.join(extras)} from where mnist-cnn came from"
        how = f"Install it with: {command}" if command else f"{self.remedy[0].upper()}{self.remedy[1:]}."
        super().__init__(f"this needs {module}, which is not installed. {how}")


def suggest(value: str, valid: Iterable[str]) -> str:
    """Say what would have been valid: "Did you mean 'conv3'? Valid: …".

    Args:
        value: What the caller wrote.
        valid: Every name that would have been accepted.

    Returns:
        One sentence or two, ready to end an error message. Many names are listed only where none is close. A name of
        which the value is the beginning, or the last part, is closer than any that is only spelt alike.
    """
    names = sorted(valid)
    related = [name for name in names if value and (name.startswith(value) or name.endswith(f".{value}"))]
    close = difflib.get_close_matches(value, related or names, n=1, cutoff=0 if related else 0.5)
    if close and len(names) > _LIST_AT_MOST:
        return f"Did you mean {close[0]!r}?"
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid: {', '.join(names)}."


def first_line(error: BaseException) -> str:
    """Give the first line of another library's message, cut between words to a length that fits a sentence."""
    lines = str(error).strip().splitlines()
    return textwrap.shorten(lines[0], 200, placeholder=" …").rstrip(".") if lines else type(error).__name__
