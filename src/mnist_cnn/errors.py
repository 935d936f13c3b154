"""The errors of this package, in one tree, with the exit codes of the command line.

A message is one line (a list of places tried may follow). It names the bad value, what would be valid, and the next
step.
"""

from __future__ import annotations

import contextlib
import difflib
import textwrap
from collections.abc import Iterable, Iterator

_LIST_AT_MOST = 15  # names; a longer list hides the suggestion


class MnistCnnError(Exception):
    """Anything this package raises on purpose. By itself: the input was valid, but the work failed (exit code 1)."""

    exit_code = 1


class InputError(MnistCnnError):
    """A mistake in the input: a bad option, a bad file, a missing extra (exit code 2)."""

    exit_code = 2


class DataError(InputError):
    """A file, folder or array that is damaged, is not what it claims to be, or does not fit the model."""


class ImageError(DataError):
    """An image that cannot be read."""


class ModelFileError(InputError):
    """A model file that is missing, damaged, of an unknown form, or needs code of its own."""


class RunFolderError(InputError):
    """The folder of a run or a search that is missing, damaged, unfinished, in use, or was begun with other data."""


class SettingError(InputError):
    """An invalid option, argument, recipe or environment variable."""


class WriteError(MnistCnnError):
    """A result that could not be written, because the disk is full or the folder is not writable."""


class DatasetUnavailableError(MnistCnnError):
    """A known data set that is not on this machine and could not be downloaded."""


class DivergedError(MnistCnnError):
    """The loss or the weights became infinite or NaN."""


class MissingExtraError(InputError):
    """An optional dependency that is not installed."""

    def __init__(self, module: str, *extras: str) -> None:
        from mnist_cnn.environment.installation import install_command

        command = install_command(extras)
        self.remedy = command or f"install this package again with the extra {','.join(extras)}"
        how = f"Install it with: {command}" if command else f"{self.remedy[0].upper()}{self.remedy[1:]}."
        needed = f"the extra{'s' if len(extras) > 1 else ''} {', '.join(map(repr, extras))}"
        super().__init__(f"this needs {needed}: {module} is not installed. {how}")


def is_third_party(error: ModuleNotFoundError) -> bool:
    """Return whether a package is missing that is not part of this one, whose own broken imports are bugs."""
    return (error.name or "").partition(".")[0] != "mnist_cnn"


@contextlib.contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """Raise `MissingExtraError` if the block imports a package that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if is_third_party(error):
            raise MissingExtraError(str(error.name), extra) from error
        raise


def suggest(value: str, valid: Iterable[str]) -> str:
    """Suggest what would have been valid: "Did you mean 'conv3'? Valid: …".

    Args:
        value: What the caller wrote.
        valid: Every name that would have been accepted.

    Returns:
        One or two sentences that can end an error message. A long list appears only if no name is close, with sections
        in place of dotted names. Names that begin with the value, or end with it, are closer than names that are only
        spelt alike.
    """
    names = sorted(valid)
    related = [name for name in names if value and (name.startswith(value) or name.endswith(f".{value}"))]
    close = difflib.get_close_matches(value, related or names, n=1, cutoff=0 if related else 0.5)
    if close and len(names) > _LIST_AT_MOST:
        return f"Did you mean {close[0]!r}?"
    if len(names) > _LIST_AT_MOST:
        return f"Valid: {', '.join(_shorten(names))}."
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid: {', '.join(names)}."


def quote(text: str, most: int) -> str:
    """Put what a person typed between quotation marks, on one line, and without the doubled backslashes of `repr`.

    Args:
        text: Any; what cannot be printed is escaped.
        most: Characters that are shown.
    """
    printed = (each if each.isprintable() else each.encode("unicode_escape").decode() for each in text[:most])
    return f"'{''.join(printed)}'{'…' if len(text) > most else ''}"


def _shorten(names: list[str]) -> list[str]:
    sections = {name.partition(".")[0] for name in names if "." in name}
    short = [
        *(f"{each}.*" for each in sorted(sections)),
        *(each for each in names if each.split(".")[0] not in sections),
    ]
    return short if len(short) <= _LIST_AT_MOST else [*short[:_LIST_AT_MOST], "…"]


def first_line(error: BaseException) -> str:
    """Return the first line of another library's message, shortened between words to fit into a sentence."""
    lines = str(error).strip().splitlines()
    return textwrap.shorten(lines[0], 200, placeholder=" …").rstrip(".") if lines else type(error).__name__
