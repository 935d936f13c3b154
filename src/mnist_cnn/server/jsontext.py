"""JSON from strangers: parsed within limits, or refused."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from mnist_cnn.errors import InputError, first_line


class JsonError(InputError):
    """A text that is no JSON, or too much of it.

    Attributes:
        too_much: It may be JSON, and was not parsed.
    """

    def __init__(self, message: str, *, too_much: bool = False) -> None:
        super().__init__(message)
        self.too_much = too_much


def parse_json(text: bytes, most: int) -> Any:
    """Parse JSON as RFC 8259 has it, in UTF-8 and without NaN; the parser bounds its depth and a number's digits.

    Args:
        text: All of it.
        most: Values that it may hold, lists among them. They are counted before they take up memory, an empty list
            twenty times as much as its text, and time, in which nobody else is served.

    Raises:
        JsonError: It is something else, or holds more.
    """
    if text.count(b",") + text.count(b"[") > most:
        raise JsonError(f"the JSON holds more than {most:,} values", too_much=True)
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:  # its message names line and column, and quotes nothing
        raise JsonError(f"this is no JSON: {first_line(error)}") from None
