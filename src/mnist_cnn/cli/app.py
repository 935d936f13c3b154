"""The `mnist-cnn` command: its commands, and what happens to an error."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches

import click

from mnist_cnn.cli.terminal import INTERRUPTED, error_console
from mnist_cnn.errors import MissingExtraError, MnistCnnError, first_line, is_third_party
from mnist_cnn.files import is_disk_full

# In the order of the help text; each is a command in the module of its name.
_VERBS = (
    "demo", "doctor", "notebook", "train", "evaluate", "export", "predict", "read", "serve", "explore", "augment",
    "compare", "ensemble", "distill", "tune", "recipes", "datasets",
)  # fmt: skip


class _Verbs(click.Group):
    """Imports a command when it is called: importing `train` alone takes longer than reading a digit."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _VERBS:
            command: click.Command = getattr(importlib.import_module(f"mnist_cnn.cli.{cmd_name}"), cmd_name)
            return command
        if ctx.resilient_parsing:  # a shell asks for completions
            return None
        raise click.NoSuchCommand(cmd_name, possibilities=_VERBS, ctx=ctx)


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    epilog='Tab completion in Bash: eval "$(_MNIST_CNN_COMPLETE=bash_source mnist-cnn)"',
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.version_option(package_name="mnist-cnn", message="%(version)s")
@click.pass_context
def application(context: click.Context) -> None:
    """Recognise handwritten digits with convolutional networks.

    Run mnist-cnn without a command to see the first steps.
    """
    if context.invoked_subcommand is None:
        from mnist_cnn.cli.first_steps import show_first_steps

        show_first_steps()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    0: success. 1: failure. 2: the caller's mistake. 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows ? for a missing character
    words = list(sys.argv[1:] if arguments is None else arguments)
    plain = [word for word in words if word != "--debug"]  # accepted before and after the command
    try:
        code = application.main(plain, prog_name="mnist-cnn", standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
    except click.Abort:  # Ctrl-C outside of training, which reports it itself
        code = INTERRUPTED
        _show_interrupted(words)
    except Exception as error:
        if _is_interruption(error):
            code = INTERRUPTED
            _show_interrupted(words)
        else:
            code = _exit_code(error)
            _show(error, words)
        _drop_unwritten()
    sys.exit(code if isinstance(code, int) else 0)


def _is_interruption(error: BaseException | None) -> bool:
    """Return whether Ctrl-C is behind an error: a compiled module that was being imported reports it as its own."""
    if not isinstance(error, (ImportError, SystemError)):
        return False
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _drop_unwritten() -> None:
    """Discard what standard output cannot take: at exit Python would try again, with a traceback and code 120."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_interrupted(words: Sequence[str]) -> None:
    if "--json" in words:
        click.echo(json.dumps({"error": "interrupted", "exit_code": INTERRUPTED}))
    error_console().print("Interrupted.")


def _show(error: Exception, words: Sequence[str]) -> None:
    """Print an error: one line, after the traceback under `--debug`; under `--json` an object as well."""
    if "--debug" in words:
        import traceback

        traceback.print_exception(error)
    message = _message(error)
    if "--json" in words:
        with contextlib.suppress(OSError):  # standard output may be what failed
            click.echo(json.dumps({"error": message, "exit_code": _exit_code(error)}))
    error_console().print(f"Error: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)


_NO_MEMORY = "there is not enough memory for this. Use a smaller --batch-size or data set."
_KILLED = "a process of this command was killed, probably for lack of memory. Close other programs, and try again."
# By the names of the errors, because most commands import neither TensorFlow nor `concurrent.futures`.
_MEMORY_MESSAGES = {"MemoryError": _NO_MEMORY, "ResourceExhaustedError": _NO_MEMORY, "BrokenProcessPool": _KILLED}


def _message(error: Exception) -> str:
    names = [kind.__name__ for kind in type(error).__mro__]
    if found := next(filter(_MEMORY_MESSAGES.get, names), None):
        return _MEMORY_MESSAGES[found]
    match error:
        case click.ClickException():
            if isinstance(error, click.NoSuchOption):
                _keep_close(error)
            message = error.format_message()
            context = getattr(error, "ctx", None)
            help_of = context.command_path if context else "mnist-cnn"
            return f"{message}{'' if message.endswith(('.', '?')) else '.'} See: {help_of} --help"
        case MnistCnnError():
            return str(error)
        case ModuleNotFoundError() if is_third_party(error):  # other extras are checked by the commands that need them
            return str(MissingExtraError(str(error.name), "train"))
        case OSError() if is_disk_full(error):
            place = f": {error.filename}" if error.filename else ""
            return f"the disk is full{place}. Not everything was written. Free some space, and run the command again."
        case OSError():
            return f"{error}. Check the path, its permissions and the free space."
    return f"unexpected {type(error).__name__}: {first_line(error)}. Run again with --debug, and report it."


def _keep_close(error: click.NoSuchOption) -> None:
    """Drop suggestions that resemble the option only in the dashes."""
    if error.possibilities:
        name = error.option_name.lstrip("-")
        error.possibilities[:] = [each for each in error.possibilities if get_close_matches(name, [each.lstrip("-")])]


def _exit_code(error: Exception) -> int:
    if isinstance(error, ModuleNotFoundError) and is_third_party(error):
        return MissingExtraError.exit_code
    return int(getattr(error, "exit_code", 1))
