"""Readings as rows of a table, CSV, JSON lines, or one JSON object."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from mnist_cnn.cli.inputs import STDIN, STDIN_NAME
from mnist_cnn.errors import DataError
from mnist_cnn.reading.reading_records import (
    DIGIT,
    TEXT,
    UNREADABLE,
    csv_line,
    digit_record,
    error_record,
    number_record,
)

if TYPE_CHECKING:
    from mnist_cnn.reading.numbers import NumberReading
    from mnist_cnn.reading.recognizer import Reading

Result = TypeVar("Result")

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
        return self.reasons[UNREADABLE]

    def add(self, path: str, result: Result | DataError) -> None:
        """Print one row; an unreadable image has neither value nor confidence."""
        self.count += 1
        record = {"path": path, **self._values(path, result)}
        self.reasons[record.get("reason", "")] += 1
        self._print(record)

    def finish(self, **more: str) -> None:
        """Print the object of the form `json`, with more values."""
        if self._records:
            record = {"results": self._records, "images": self.count, "unreadable": self.unreadable}
            click.echo(json.dumps(record | more))

    def _values(self, path: str, result: Result | DataError) -> dict[str, Any]:
        if not isinstance(result, DataError):
            return self._describe(result)
        return error_record(self._heading, result, STDIN_NAME if path == STDIN else path)

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
        # As bytes, since click.echo strips ANSI codes from text and file names may not be Unicode.
        click.echo(csv_line(record, self._columns), nl=False)
        if "error" in record:
            click.echo(_visible(f"Not read: {record['error']}"), err=True)


def digit_rows(form: str, class_names: Sequence[str]) -> Rows[Reading]:
    """Return rows of single digits."""
    return Rows(form, DIGIT, digit_record, max(map(len, class_names)))


def number_rows(form: str) -> Rows[NumberReading]:
    """Return rows of whole numbers."""
    return Rows(form, TEXT, number_record, _USUAL_NUMBER)


def _visible(line: str) -> str:
    """Escape control characters in file names, which could otherwise control the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: match[0].encode("unicode_escape").decode(), line)
