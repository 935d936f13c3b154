"""JSON from clients: parsed within limits, or refused."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from mnist_cnn.errors import InputError, first_line


class JsonError(InputError):
    """Text that is not JSON, or too much of it.

    Attributes:
        too_much: It was not parsed because it has too many values.
    """

    def __init__(self, message: str, *, too_much: bool = False) -> None:
        super().__init__(message)
        self.too_much = too_much


def parse_json(text: bytes, most: int) -> Any:
    """Parse JSON (RFC 8259) in UTF-8, without NaN; the parser limits nesting and the digits of a number.

    Args:
        text: All of it.
        most: Most values, including lists. They are counted first, because parsed values take up to twenty times the
            memory of their text, and time in which no other request is served.

    Raises:
        JsonError: It is not JSON, or has more values.
    """
    if text.count(b",") + text.count(b"[") > most:
        raise JsonError(f"the JSON has more than {most:,} values", too_much=True)
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:  # its message names line and column, and quotes nothing
        raise JsonError(f"this is not JSON: {first_line(error)}") from None
