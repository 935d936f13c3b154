"""`mnist-cnn doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from mnist_cnn.cli.options import json_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from mnist_cnn.cli.diagnosis import Diagnosis

_INDENT = 16  # columns before the text
_STYLES = {"installed": "green", "missing": "yellow", "unknown": "yellow", "incomplete": "bold red"}


@click.command(cls=Verb, example="mnist-cnn doctor")
@json_option
def doctor(as_json: bool) -> None:
    """Check this installation: packages, extras, data and hardware.

    Nothing is downloaded, and Keras is not started. Exit code 1: something that is installed does not work.
    """
    from mnist_cnn.cli.diagnosis import diagnose

    terminal = Terminal(as_json)
    found = diagnose()
    _show(found, terminal)
    terminal.say("")
    for problem in found.problems:
        terminal.say(f"Problem: {problem}", style="bold red")
    if not found.problems:
        terminal.say("No problems found.", style="green")
    terminal.finish(found.as_dict())
    if found.problems:
        click.get_current_context().exit(1)


def _show(found: Diagnosis, terminal: Terminal) -> None:
    about = found.environment
    terminal.say(f"mnist-cnn {about['packages']['mnist-cnn']} on Python {about['python']} in {sys.prefix}")
    _print_section(terminal.console, "This machine", _machine(found))
    _print_section(terminal.console, "Data", _data(found))
    _print_extras(found, terminal)


def _machine(found: Diagnosis) -> list[tuple[str, str]]:
    about = found.environment
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if name != "mnist-cnn")
    cores = f"{about['cores']} core{'s' * (about['cores'] > 1)}"
    limit = f", limited to {about['onednn_confined_to']}" if about["onednn_confined_to"] else ""
    return [
        ("reading", "works" if found.reads else "does not work"),
        ("packages", packages),
        ("processor", f"{about['processor']}, {cores}, {about['memory_gib']} GiB of memory"),
        ("", ", ".join(about["processor_features"]) or "instruction sets unknown"),
        ("", f"for training: bfloat16 is {'fast' if about['bfloat16'] else 'slow'}; oneDNN is {found.onednn}{limit}"),
        ("GPU", ", ".join(found.gpus) or "none found (only NVIDIA on Linux is detected)"),
    ]


def _data(found: Diagnosis) -> list[tuple[str, str]]:
    here = [(name, where) for name, where in found.data.items() if where]
    absent = ", ".join(name for name, where in found.data.items() if not where)
    if absent:
        here.append(("not here", f"{absent}; training gets them when it first uses them"))
    return [*here, ("cache", f"{found.cache} ({'writable' if found.cache_is_writable else 'not writable'})")]


def _print_section(console: Console, title: str, rows: Iterable[tuple[str, str]]) -> None:
    console.print(f"\n[bold]{title}[/bold]")
    console.print(_grid([(f"  {label}", Text(text)) for label, text in rows], label=_INDENT))


def _print_extras(found: Diagnosis, terminal: Terminal) -> None:
    """Print the extras, and below each that lacks something the command that installs it, unwrapped."""
    terminal.say("\nExtras", style="bold")
    for each in found.extras:
        lacking = f" (without {', '.join(each.lacking)})" if each.state == "incomplete" else ""
        text = _grid([(Text(each.state, _STYLES[each.state]), f"{each.purpose}{lacking}")], label=12)
        terminal.console.print(_grid([(f"  {each.name}", text)], label=_INDENT))
        if each.lacking and each.command:
            terminal.say(f"{'':{_INDENT}}{each.command}", style="cyan")


def _grid(rows: Iterable[tuple[RenderableType, RenderableType]], label: int) -> Table:
    """Return rows of a label, in a column of this width, and a text, which is wrapped in its own column."""
    grid = Table.grid()
    grid.add_column(width=label)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return grid
