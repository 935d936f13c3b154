"""Readings as rows of a table, CSV, JSON lines, or one JSON object."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from mnist_cnn.errors import DataError

if TYPE_CHECKING:
    from mnist_cnn.reading.numbers import NumberReading
    from mnist_cnn.reading.recognizer import Reading

Result = TypeVar("Result")

_DECIMALS = 6  # of a confidence: the precision of float32
_USUAL_NUMBER = 10  # digits


class Rows(Generic[Result]):
    """Prints each reading immediately and counts them. Only `json` waits for the last one.

    Attributes:
        count: Number of rows.
        reasons: How many were rejected for each reason; `unreadable` is the reason of an error.
    """

    def __init__(self, form: str, heading: str, describe: Callable[[Result], dict[str, Any]], width: int = 0) -> None:
        """Print nothing yet.

        Args:
            form: "table", "csv", "jsonl" or "json".
            heading: Name of the column with what was read.
            describe: Converts a reading to JSON: the value under `heading`, None if there is none; `confidence`,
                `accepted`, and `reason` unless it is accepted.
            width: Most characters of what is usually read.
        """
        self.count = 0
        self.reasons: Counter[str] = Counter()
        self._heading = heading
        self._columns = ("path", heading, "confidence", "accepted")
        self._describe = describe
        self._width = max(len(heading), width)
        self._records: list[dict[str, Any]] = []
        self._print: Callable[[dict[str, Any]], None] = {
            "table": self._print_line,
            "csv": self._print_csv,
            "jsonl": lambda record: click.echo(json.dumps(record)),
            "json": self._records.append,
        }[form]

    @property
    def unreadable(self) -> int:
        """Number of images that could not be read."""
        return self.reasons["unreadable"]

    def add(self, path: str, result: Result | DataError) -> None:
        """Print one row; an unreadable image has neither value nor confidence."""
        self.count += 1
        record = {"path": path, **(self._fail(result) if isinstance(result, DataError) else self._describe(result))}
        self.reasons[record.get("reason", "")] += 1
        self._print(record)

    def finish(self, **more: str) -> None:
        """Print the object of the form `json`, with more values."""
        if self._records:
            record = {"results": self._records, "images": self.count, "unreadable": self.unreadable}
            click.echo(json.dumps(record | more))

    def _fail(self, error: DataError) -> dict[str, Any]:
        values = {self._heading: None, "confidence": None, "accepted": False}
        return {**values, "reason": "unreadable", "error": str(error)}

    def _print_line(self, record: dict[str, Any]) -> None:
        heading = self._heading
        if self.count == 1:
            click.echo(f"{heading:>{self._width}}  confidence  accepted    path")
        confidence = "–" if record["confidence"] is None else f"{record['confidence']:.2%}"
        value = "–" if record[heading] in (None, "") else str(record[heading])
        error = f"  ({record['error']})" if "error" in record else ""
        accepted = record.get("reason", "yes")
        click.echo(_visible(f"{value:>{self._width}}  {confidence:>10}  {accepted:10}  {record['path']}{error}"))

    def _print_csv(self, record: dict[str, Any]) -> None:
        if self.count == 1:
            click.echo(",".join(self._columns))
        values = {**record, "accepted": str(record["accepted"]).lower()}
        line = io.StringIO(newline="")
        csv.DictWriter(line, self._columns, extrasaction="ignore", lineterminator="\n").writerow(values)
        # As bytes, since click.echo strips ANSI codes from text and file names may not be Unicode.
        click.echo(line.getvalue().encode("utf-8", "surrogateescape"), nl=False)
        if "error" in record:
            click.echo(_visible(f"Not read: {record['error']}"), err=True)


def digit_rows(form: str, class_names: Sequence[str]) -> Rows[Reading]:
    """Return rows of single digits."""
    return Rows(form, "digit", _describe_digit, max(map(len, class_names)))


def number_rows(form: str) -> Rows[NumberReading]:
    """Return rows of whole numbers."""
    return Rows(form, "text", _describe_number, _USUAL_NUMBER)


def _describe_number(reading: NumberReading) -> dict[str, Any]:
    return _with_reason(reading.to_dict(), reading.reason)


def _describe_digit(reading: Reading) -> dict[str, Any]:
    # A number if the classes are digits; None if the image is blank.
    digit = reading.digit if reading.label == str(reading.digit) else reading.label
    values = {
        "digit": digit if reading.has_ink else None,
        "confidence": round(reading.confidence, _DECIMALS),
        "accepted": reading.accepted,
    }
    return _with_reason(values, reading.reason)


def _with_reason(values: dict[str, Any], reason: str) -> dict[str, Any]:
    return {**values, "reason": reason} if reason else values


def _visible(line: str) -> str:
    """Escape control characters in file names, which could otherwise control the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: match[0].encode("unicode_escape").decode(), line)
