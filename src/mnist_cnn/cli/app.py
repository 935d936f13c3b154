"""The `mnist-cnn` command: its verbs, and what happens to an error."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from mnist_cnn.cli.terminal import INTERRUPTED, error_console
from mnist_cnn.errors import MissingExtraError, MnistCnnError, first_line

if TYPE_CHECKING:
    from typer._click import Context

_HOMES = {  # of the verbs, in the order in which help lists them
    "train": "train",
    "evaluate": "evaluate",
    "export": "export",
    "predict": "predict",
    "serve": "serve",
    "explore": "explore",
    "augment": "augment",
    "compare": "compare",
    "tune": "tune",
    "recipes": "recipes",
    "datasets": "data",
}
_SETTINGS = {"help_option_names": ["-h", "--help"]}
_TRAINING_MODULES = frozenset(
    ("h5py", "jinja2", "keras", "matplotlib", "onnx", "pooch", "requests", "scipy", "sklearn", "tensorflow")
)


class _PathsCommand(TyperCommand):
    """Takes a call that names only paths as it is.

    Typer checks any other value through pydantic, whose import alone takes 70 ms of processor.
    """

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Give the arguments left over: none."""
        if not args or any(word.startswith("-") and word != "-" for word in args):
            return super().parse_args(ctx, args)
        ctx.params = {"paths": args}  # the other parameters keep their defaults
        return []


def _run(words: Sequence[str]) -> Any:
    """Call the verb that is named, importing no other: `train` alone takes longer to import than a digit to read.

    Args:
        words: Of the command line, after `mnist-cnn`.

    Returns:
        The exit code, where the verb ended with one.
    """
    application = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    name = words[0] if words else ""
    if name in _HOMES:
        application.command(cls=_PathsCommand if name == "predict" else None, context_settings=_SETTINGS)(_verb(name))
        return application(words[1:], prog_name=f"mnist-cnn {name}", standalone_mode=False)
    application.callback(invoke_without_command=True, context_settings=_SETTINGS)(_options)
    for each in _HOMES:
        application.command(each)(_verb(each))
    return application(words, prog_name="mnist-cnn", standalone_mode=False)


def _verb(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(importlib.import_module(f"mnist_cnn.cli.{_HOMES[name]}"), name)
    return function


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("mnist-cnn"))
        raise typer.Exit


def _options(
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
    plain = [word for word in words if word != "--debug"]  # which is taken before and after the verb
    try:
        code = _run(plain)
        if sys.stdout:
            sys.stdout.flush()
    except Exception as error:
        _show(error, words)
        code = _exit_code(error)
        _drop_unwritten()
    if code == INTERRUPTED:  # Ctrl-C outside of training, which says more and leaves by itself
        if "--json" in words:
            typer.echo(json.dumps({"error": "interrupted", "exit_code": INTERRUPTED}))
        error_console().print("Interrupted.")
    sys.exit(code if isinstance(code, int) else 0)


def _drop_unwritten() -> None:
    """Let go of what standard output cannot take: Python would try again at its end, with a traceback and code 120."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(error: Exception, words: Sequence[str]) -> None:
    """Say what went wrong: one line, or the traceback under `--debug`; under `--json` also as an object."""
    if "--debug" in words:
        import traceback

        traceback.print_exception(error)
    message = _message(error)
    if "--json" in words:
        with contextlib.suppress(OSError):  # standard output may be what failed
            typer.echo(json.dumps({"error": message, "exit_code": _exit_code(error)}))
    error_console().print(f"Error: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)


def _message(error: Exception) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's own
        return "there is not enough memory for this. Use a smaller --batch-size or data set."
    match error:
        case TyperException():
            message = error.format_message()
            context = getattr(error, "ctx", None)
            help_of = context.command_path if context else "mnist-cnn"
            return f"{message}{'' if message.endswith(('.', '?')) else '.'} See: {help_of} --help"
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
