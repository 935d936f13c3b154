"""Readings as rows of a table, CSV, JSON lines, or one JSON object."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from mnist_cnn.errors import DataError

if TYPE_CHECKING:
    from mnist_cnn.reading.recognizer import Reading

COLUMNS = ("path", "digit", "confidence", "accepted")

_DECIMALS = 6  # of a confidence: the precision of float32


class Rows:
    """Prints each reading immediately and counts them. Only `json` waits for the last one."""

    def __init__(self, form: str, class_names: Sequence[str]) -> None:
        self.count = self.unreadable = 0
        self._records: list[dict[str, Any]] = []
        self._width = max(len("digit"), *map(len, class_names))
        self._print: Callable[[dict[str, Any]], None] = {
            "table": self._print_line,
            "csv": self._print_csv,
            "jsonl": lambda record: click.echo(json.dumps(record)),
            "json": self._records.append,
        }[form]

    def add(self, path: str, result: Reading | DataError) -> None:
        """Print one row; an unreadable image has neither digit nor confidence."""
        self.count += 1
        self.unreadable += isinstance(result, DataError)
        self._print(_record(path, result))

    def finish(self, **more: str) -> None:
        """Print the object of the form `json`, with more values."""
        if self._records:
            record = {"results": self._records, "images": self.count, "unreadable": self.unreadable}
            click.echo(json.dumps(record | more))

    def _print_line(self, record: dict[str, Any]) -> None:
        if self.count == 1:
            click.echo(f"{'digit':>{self._width}}  confidence  accepted    path")
        confidence = "–" if record["confidence"] is None else f"{record['confidence']:.2%}"
        digit = "–" if record["digit"] is None else str(record["digit"])
        error = f"  ({record['error']})" if "error" in record else ""
        accepted = record.get("reason", "yes")
        click.echo(_visible(f"{digit:>{self._width}}  {confidence:>10}  {accepted:10}  {record['path']}{error}"))

    def _print_csv(self, record: dict[str, Any]) -> None:
        if self.count == 1:
            click.echo(",".join(COLUMNS))
        values = {**record, "accepted": str(record["accepted"]).lower()}
        line = io.StringIO(newline="")
        csv.DictWriter(line, COLUMNS, extrasaction="ignore", lineterminator="\n").writerow(values)
        # As bytes, since click.echo strips ANSI codes from text and file names may not be Unicode.
        click.echo(line.getvalue().encode("utf-8", "surrogateescape"), nl=False)
        if "error" in record:
            click.echo(_visible(f"Not read: {record['error']}"), err=True)


def _record(path: str, result: Reading | DataError) -> dict[str, Any]:
    """Return the columns of one image, and the reason if it was rejected."""
    if isinstance(result, DataError):
        values: tuple[Any, ...] = (path, None, None, False)
        reasons = {"reason": "unreadable", "error": str(result)}
    else:
        # A number if the classes are digits; None if the image is blank.
        digit = result.digit if result.label == str(result.digit) else result.label
        values = (path, digit if result.has_ink else None, round(result.confidence, _DECIMALS), result.accepted)
        reasons = {"reason": result.reason} if result.reason else {}
    return dict(zip(COLUMNS, values, strict=True)) | reasons


def _visible(line: str) -> str:
    """Escape control characters in file names, which could otherwise control the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: match[0].encode("unicode_escape").decode(), line)
