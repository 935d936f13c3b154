"""The reference of the command line, from Click's own description of every command."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from mnist_cnn.cli.app import application
from site_parts.markdown import table

_KEEP_LINES = "\b"


def describe() -> str:
    """Describe every command in the order of `mnist-cnn --help`."""
    context = click.Context(application, info_name="mnist-cnn")
    return "\n\n".join(_describe(name, context) for name in application.list_commands(context))


def _describe(name: str, parent: click.Context) -> str:
    command = application.get_command(parent, name)
    if command is None:
        raise LookupError(f"{name} is listed but does not exist.")
    context = click.Context(command, info_name=name, parent=parent)
    usage = command.get_usage(context).removeprefix("Usage: ")
    return "\n\n".join([f"## {name}", f"```text\n{usage}\n```", *_paragraphs(command), *_parameters(command, context)])


def _paragraphs(command: click.Command) -> Iterator[str]:
    """Yield the paragraphs of the help text, as code where they keep their line breaks."""
    for text in (command.help, command.epilog):
        for paragraph in filter(None, inspect.cleandoc(text or "").split("\n\n")):
            if paragraph.startswith(_KEEP_LINES):
                lines = inspect.cleandoc(paragraph.removeprefix(_KEEP_LINES).strip("\n"))
                yield f"```text\n{lines}\n```"
            else:
                yield paragraph


def _parameters(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield a table of the arguments, if there are any, and a table of the options."""
    arguments = [each for each in command.get_params(context) if isinstance(each, click.Argument)]
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    for title, parameters in (("argument", arguments), ("option", options)):
        records = [each.get_help_record(context) for each in parameters]
        if rows := [(f"`{declaration}`", text) for declaration, text in filter(None, records)]:
            yield table((title, "meaning"), rows)
