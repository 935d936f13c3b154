"""Output that all commands share: text and tables, or one JSON object; progress bars.

Rich is imported when it is first used, so that `predict` starts without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130  # exit code: 128 + SIGINT, as shells report it


def error_console() -> Console:
    """Return the console on standard error."""
    from rich.console import Console

    return Console(stderr=True)


class Terminal:
    """Prints text to standard output; under `--json` to standard error, and the result to standard output."""

    def __init__(self, json_only: bool) -> None:
        from rich.console import Console

        self._json_only = json_only
        self.console = Console(stderr=json_only)

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a line that must not be overlooked."""
        self.say(f"NOTE: {text}", style="bold yellow")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
        """Print a table; columns of numbers are right-aligned."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=escape(title) or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        lines = [[_cell(value) for value in row] for row in rows]
        for index, column in enumerate(columns):
            numbers = bool(lines) and all(_is_number(line[index]) for line in lines)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for line in lines:
            table.add_row(*line)
        self.console.print(table, markup=False)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Print the result as JSON under `--json`."""
        if self._json_only:
            click.echo(json.dumps(result, default=str))

    @contextmanager
    def download_bar(self) -> Iterator[Any]:
        """Yield a callback (file, bytes done, total bytes) that draws one bar per file."""
        from rich import progress as parts

        columns = (parts.TextColumn("{task.description}"), parts.BarColumn(), parts.DownloadColumn())
        times = (parts.TransferSpeedColumn(), parts.TimeRemainingColumn())
        progress = parts.Progress(*columns, *times, console=self.console, transient=True)
        tasks: dict[str, Any] = {}

        def update(file: str, done: int, total: int) -> None:
            if file not in tasks:
                progress.start()  # only now, since usually there is nothing to download
                tasks[file] = progress.add_task(f"Downloading {file}")
            progress.update(tasks[file], completed=done, total=total or None)

        try:
            yield update
        finally:
            if tasks:
                progress.stop()


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):  # a count that a database stores as a float is shown in full
        return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _is_number(text: str) -> bool:
    return text == "–" or text.replace(",", "").replace(".", "").replace("%", "").replace("-", "").strip().isdigit()
