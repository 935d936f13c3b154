"""The reference of the command line, from Click's own description of every command."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from mnist_cnn.cli.app import application
from mnist_cnn.cli.verb import Verb
from site_parts.markdown import table


def describe() -> str:
    """Describe every command in the order of `mnist-cnn --help`."""
    context = application.make_context("mnist-cnn", [])
    return "\n\n".join(part for name in application.list_commands(context) for part in _describe(name, context))


def _describe(name: str, parent: click.Context) -> Iterator[str]:
    command = application.get_command(parent, name)
    if not isinstance(command, Verb):
        raise TypeError(f"{name} is not a Verb.")
    context = click.Context(command, info_name=name, parent=parent)
    yield f"## {name}"
    yield inspect.cleandoc(command.help or "")
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    yield f"Example:\n\n```sh\n{command.example}\n```"
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    for title, parameters in (("argument", arguments), ("option", options)):
        records = filter(None, (each.get_help_record(context) for each in parameters))
        if rows := [(f"`{declaration}`", text) for declaration, text in records]:
            yield table((title, "meaning"), rows)
