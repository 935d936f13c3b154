"""The `mnist-cnn` command: its verbs, and what happens to an error."""

from __future__ import annotations

import importlib.metadata
import io
import json
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from mnist_cnn.cli import augment, compare, data, evaluate, explore, recipes, train
from mnist_cnn.cli.terminal import INTERRUPTED, error_console
from mnist_cnn.errors import MissingExtraError, MnistCnnError, first_line

_TRAINING_MODULES = {"keras", "tensorflow", "sklearn", "scipy", "matplotlib", "jinja2", "httpx", "tenacity"}

app = typer.Typer(
    name="mnist-cnn",
    help="Recognise handwritten digits with convolutional networks.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (train.train, evaluate.evaluate, explore.explore, augment.augment, compare.compare):
    app.command()(verb)
app.command()(recipes.recipes)
app.command(name="datasets")(data.datasets)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(importlib.metadata.version("mnist-cnn"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Recognise handwritten digits with convolutional networks."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    0: done. 1: it failed. 2: the caller's mistake. 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows ? where it has no sign
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # --debug is taken before and after the verb.
        code = app([word for word in words if word != "--debug"], prog_name="mnist-cnn", standalone_mode=False)
    except Exception as error:
        _show(error, words)
        code = _exit_code(error)
    if code == INTERRUPTED:  # Ctrl-C outside of training, which says more and leaves by itself
        if "--json" in words:
            typer.echo(json.dumps({"error": "interrupted", "exit_code": INTERRUPTED}))
        error_console().print("Interrupted.")
    sys.exit(code if isinstance(code, int) else 0)


def _show(error: Exception, words: Sequence[str]) -> None:
    """Say what went wrong: one line, or the traceback under `--debug`; under `--json` also as an object."""
    if "--debug" in words:
        traceback.print_exception(error)
    message = _message(error)
    if "--json" in words:
        typer.echo(json.dumps({"error": message, "exit_code": _exit_code(error)}))
    error_console().print(f"Error: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)


def _message(error: Exception) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's own
        return "there is not enough memory for this. Use a smaller --batch-size or data set."
    match error:
        case TyperException():
            message = error.format_message()
            return f"{message}{'' if message.endswith(('.', '?')) else '.'} See: mnist-cnn --help"
        case MnistCnnError():
            return str(error)
        case ModuleNotFoundError() if (error.name or "").partition(".")[0] in _TRAINING_MODULES:
            return str(MissingExtraError(str(error.name), "train"))
        case OSError():
            return f"{error}. Check the path, its permissions and the free space."
    return f"unexpected {type(error).__name__}: {first_line(error)}. Run again with --debug, and report it."


def _exit_code(error: Exception) -> int:
    if isinstance(error, ModuleNotFoundError):
        return MissingExtraError.exit_code
    return int(getattr(error, "exit_code", 1))
