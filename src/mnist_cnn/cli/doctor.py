"""`mnist-cnn doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mnist_cnn.cli.options import json_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb

if TYPE_CHECKING:
    from rich.console import Console

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
    packages = dict(about["packages"])
    terminal.say(f"mnist-cnn {packages.pop('mnist-cnn', '')} on Python {about['python']} in {sys.prefix}")
    cores = f"{about['cores']} core{'s' * (about['cores'] > 1)}"
    limit = f", limited to {about['onednn_confined_to']}" if about["onednn_confined_to"] else ""
    training = f"bfloat16 is {'fast' if about['bfloat16'] else 'slow'}; oneDNN is {found.onednn}{limit}"
    machine = [
        ("reading", "works" if found.reads else "does not work"),
        ("packages", ", ".join(f"{name} {version}" for name, version in packages.items())),
        ("processor", f"{about['processor']}, {cores}, {about['memory_gib']} GiB of memory"),
        ("", ", ".join(about["processor_features"]) or "instruction sets unknown"),
        ("", f"for training: {training}"),
        ("GPU", ", ".join(found.gpus) or "none found (only NVIDIA on Linux is detected)"),
    ]
    _print_section(terminal.console, "This machine", machine)
    absent = ", ".join(name for name, where in found.data.items() if not where)
    data = [
        *((name, where) for name, where in found.data.items() if where),
        *([("not here", f"{absent}; training gets them when it first uses them")] if absent else []),
        ("cache", f"{found.cache} ({'writable' if found.cache_is_writable else 'not writable'})"),
    ]
    _print_section(terminal.console, "Data", data)
    _print_extras(found, terminal)


def _print_section(console: Console, title: str, rows: Iterable[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(Text(f"\n{title}", style="bold"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=_INDENT - 2)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(f"  {label}"), Text(text))
    console.print(grid)


def _print_extras(found: Diagnosis, terminal: Terminal) -> None:
    """Print the extras, and below each that lacks something the command that installs it, unwrapped."""
    from rich.text import Text

    terminal.say("\nExtras", style="bold")
    for each in found.extras:
        style, lacking = _STYLES[each.state], ", ".join(each.lacking)
        line = Text(f"  {each.name:{_INDENT - 2}}").append(f"{each.state:12}", style).append(each.purpose)
        terminal.console.print(line.append(f" (without {lacking})") if each.state == "incomplete" else line)
        if each.lacking and each.command:
            terminal.say(f"{'':{_INDENT}}{each.command}", style="cyan")
