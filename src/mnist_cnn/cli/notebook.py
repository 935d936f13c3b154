"""`mnist-cnn notebook`: copy the guided tour out of the package, and say how to open it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import click

from mnist_cnn.cli.options import PATH, json_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.environment.extras import dependencies
from mnist_cnn.environment.installation import install_command, is_shell_command
from mnist_cnn.environment.shell import quote
from mnist_cnn.errors import MnistCnnError, SettingError
from mnist_cnn.files import write_whole

_EXTRA = "notebook"
_NAME = "tour.ipynb"
_PACKAGE = Path(__file__).parents[1]
# In an installed package, and in a checkout that is installed with -e.
_PLACES = (_PACKAGE / "notebooks" / _NAME, _PACKAGE.parents[1] / "notebooks" / _NAME)
_JUPYTERS = (("JupyterLab", "jupyterlab", "jupyter-lab"), ("Jupyter Notebook", "notebook", "jupyter-notebook"))


@click.command(cls=Verb, example="mnist-cnn notebook lessons")
@click.argument("folder", metavar="[DIR]", type=PATH, default=Path(), help="Folder for the copy (default: here).")
@json_option
def notebook(folder: Path, as_json: bool) -> None:
    """Copy the guided tour, a Jupyter notebook, into a folder.

    It leads from the data to a program that reads your own handwriting, and runs in a few minutes. A copy that you have
    changed is never overwritten.
    """
    terminal = Terminal(as_json)
    target = folder / _NAME
    is_new = _copy(_find(), target)
    programs = programs_for(target)
    missing = [each.name for each in dependencies(_EXTRA) if not each.is_met]
    install = install_command([_EXTRA]) if missing or not programs else None
    terminal.say(f"The guided tour is {'now' if is_new else 'already'} in {target}. Open it with one of these:")
    for program, command in programs.items():
        terminal.say(f"  {program + ':':20} {command}")
    terminal.say(f"  {'Google Colab:':20} upload it at https://colab.research.google.com, with a wheel of this package")
    if install:
        terminal.say("To open and run it on this machine, first install what it needs:")
        terminal.say(f"  {install}")
    terminal.finish(
        {"notebook": str(target), "copied": is_new, "open": programs, "missing": missing, "install": install}
    )


def _find() -> Path:
    for place in _PLACES:
        if place.is_file():
            return place
    raise MnistCnnError(f"{_PLACES[0]} is missing from this installation. Install the package again.")


def _copy(source: Path, target: Path) -> bool:
    """Copy the notebook unless the same file is there already; return whether it was copied.

    Raises:
        SettingError: Something else is there, such as a copy that was changed or run.
        WriteError: The folder cannot be written.
    """
    content = source.read_bytes()
    if target.exists():
        if target.is_file() and target.read_bytes() == content:
            return False
        opening = next((f" Open it: {command}" for command in programs_for(target).values()), "")
        raise SettingError(
            f"{target} already exists and differs from the original, so it was not overwritten.{opening} For a new "
            "copy, rename it, or name another folder: mnist-cnn notebook DIR"
        )
    with write_whole(target) as partial:
        partial.write_bytes(content)
    return True


def programs_for(target: Path) -> dict[str, str]:
    """Return the programs on this machine that open notebooks, each with its command."""
    path = quote(str(target))
    found = {
        program: f"{_jupyter(module, script)} {path}"
        for program, module, script in _JUPYTERS
        if importlib.util.find_spec(module)
    }
    return found | ({"Visual Studio Code": f"code {path}"} if shutil.which("code") else {})


def _jupyter(module: str, script: str) -> str:
    """Return the short command if it starts the Jupyter of this environment, otherwise the exact one."""
    return script.replace("-", " ") if is_shell_command(script) else f"{quote(sys.executable)} -m {module}"
