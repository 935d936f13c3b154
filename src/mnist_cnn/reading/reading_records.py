"""Readings as records: what JSON lines, CSV and tables say about an image."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_cnn.errors import DataError
    from mnist_cnn.reading.numbers import NumberReading
    from mnist_cnn.reading.recognizer import Reading

DIGIT, TEXT = "digit", "text"  # the columns with what was read: a single digit, a whole number
UNREADABLE = "unreadable"  # the reason of an error
_DECIMALS = 6  # of a confidence: the precision of float32


def digit_record(reading: Reading) -> dict[str, Any]:
    """Return what was read in a picture of one digit: digit, confidence, accepted, and reason unless it is accepted.

    The digit is a number if the classes are digits, and None if the image is blank.
    """
    label = reading.label
    digit = int(label) if label.isascii() and label.isdigit() and str(int(label)) == label else label
    values = {
        DIGIT: digit if reading.has_ink else None,
        "confidence": round(reading.confidence, _DECIMALS),
        "accepted": reading.accepted,
    }
    return _with_reason(values, reading.reason)


def number_record(reading: NumberReading) -> dict[str, Any]:
    """Return what was read in a picture of a number: the values of `to_dict`, and reason unless it is accepted."""
    return _with_reason(reading.to_dict(), reading.reason)


def error_record(heading: str, error: DataError, name: str) -> dict[str, Any]:
    """Return the record of an image that could not be read: neither value nor confidence, but the error.

    Args:
        heading: The column with what was read.
        error: Why it could not be read.
        name: What the message calls the image.
    """
    message = describe_error(error, name)
    return {heading: None, "confidence": None, "accepted": False, "reason": UNREADABLE, "error": message}


def describe_error(error: DataError, name: str) -> str:
    """Return why an image cannot be read, beginning with its name, which errors about its content do not know.

    Args:
        error: Why.
        name: Its path or address; empty if it has none.
    """
    message = str(error)
    return message if not name or message.startswith(f"{name} ") else f"{name}: {message}"


def csv_line(record: dict[str, Any], columns: Sequence[str]) -> bytes:
    """Return a line of CSV in UTF-8, where file names may contain other bytes.

    Args:
        record: A record with its path.
        columns: Those to write; missing ones are empty.
    """
    values = {**record, "accepted": str(record["accepted"]).lower()}
    line = io.StringIO(newline="")
    is_broken = any("\r" in str(value) for value in values.values())  # Python before 3.13 does not quote these
    csv.DictWriter(
        line,
        columns,
        extrasaction="ignore",
        lineterminator="\n",
        quoting=csv.QUOTE_ALL if is_broken else csv.QUOTE_MINIMAL,
    ).writerow(values)
    return line.getvalue().encode("utf-8", "surrogateescape")


def _with_reason(values: dict[str, Any], reason: str) -> dict[str, Any]:
    return {**values, "reason": reason} if reason else values
