"""What all verbs share: where to print, one JSON object instead of prose, and progress bars.

Rich is imported when something is printed with it: `predict` starts without.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

INTERRUPTED = 130  # exit code: 128 + SIGINT, as shells report it

_PATIENCE = 1.0  # seconds without a progress bar


def error_console() -> Console:
    """Give the console on standard error."""
    from rich.console import Console

    return Console(stderr=True)


class Terminal:
    """Prints for people on standard output; under `--json`, on standard error, and the result as one object."""

    def __init__(self, json_only: bool) -> None:
        from rich.console import Console

        self._json_only = json_only
        self.console = Console(stderr=json_only)

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print what must not be overlooked."""
        self.say(f"NOTE: {text}", style="bold yellow")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
        """Print a table; columns of numbers are set to the right."""
        from rich import box
        from rich.table import Table

        table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        lines = [[_cell(value) for value in row] for row in rows]
        for index, column in enumerate(columns):
            numbers = bool(lines) and all(_is_number(line[index]) for line in lines)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for line in lines:
            table.add_row(*line)
        self.console.print(table, markup=False)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Print the result as the one JSON object, where that was asked for."""
        if self._json_only:
            click.echo(json.dumps(result, default=str))

    @contextmanager
    def download_bar(self) -> Iterator[Any]:
        """Give a callback (file, bytes done, bytes in all) that draws one bar per file."""
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        progress = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        tasks: dict[str, Any] = {}

        def update(file: str, done: int, total: int) -> None:
            if file not in tasks:
                progress.start()  # not before, since most often there is nothing to download
                tasks[file] = progress.add_task(f"Downloading {file}")
            progress.update(tasks[file], completed=done, total=total or None)

        try:
            yield update
        finally:
            if tasks:
                progress.stop()


class SlowBar:
    """A progress bar on standard error that appears once the work takes long.

    There is none where standard error is no terminal, nor where rows on the same terminal show how far things are.
    """

    def __init__(self, count: Callable[[], int | None]) -> None:
        self._count = count  # gives the number of items, None if unknown; called when the bar appears
        self._done = 0
        self._due = time.monotonic() + _PATIENCE
        self._wanted = sys.stderr.isatty() and not sys.stdout.isatty()
        self._bar: Progress | None = None

    def __enter__(self) -> SlowBar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self) -> None:
        """Count one item as done."""
        self._done += 1
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=self._done)
        elif self._wanted and time.monotonic() > self._due:
            self._bar = self._appear()

    def _appear(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        bar = Progress(
            BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=error_console(), transient=True
        )
        bar.add_task("", total=self._count(), completed=self._done)
        bar.start()
        return bar


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _is_number(text: str) -> bool:
    return text == "–" or text.replace(",", "").replace(".", "").replace("%", "").replace("-", "").strip().isdigit()
