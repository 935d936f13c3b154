"""What `mnist-cnn` shows without a command: what to do first."""

from __future__ import annotations

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.environment.extras import is_complete
from mnist_cnn.environment.installation import PACKAGE, install_command, run_command
from mnist_cnn.environment.machine import package_version

STEPS = (  # the arguments of the command, the extra that it needs, and what it does
    ("demo", "", "Read eight sample pictures."),
    ("predict photo.jpg scans/", "", "Read your own pictures."),
    ("serve --open", "serve", "Draw digits in the browser."),
    ("train", "train", "Train a network and write a report."),
    ("notebook", "notebook", "Learn with a Jupyter notebook."),
    ("doctor", "", "Check this installation."),
)


def show_first_steps() -> None:
    """Print the first steps, and how to install what this installation lacks for them."""
    terminal, program = Terminal(json_only=False), run_command()
    missing = [extra for _, extra, _ in STEPS if extra and not is_complete(extra)]
    steps = [(f"{program} {words}", f"{text} *" if extra in missing else text) for words, extra, text in STEPS]
    terminal.say(f"{PACKAGE} {package_version(PACKAGE)} recognises handwritten digits. First steps:\n")
    if sum(max(map(len, column)) for column in zip(*steps, strict=True)) + 4 <= terminal.console.width:
        grid = Table.grid(padding=(0, 2, 0, 0))
        for command, text in steps:
            grid.add_row(Text(command, "cyan"), text)
        terminal.console.print(Padding.indent(grid, 2))
    else:  # the path of the environment is long, and a command must stay on one line
        for command, text in steps:
            terminal.say(f"  {command}", style="cyan")
            terminal.say(f"      {text}")
    if missing:
        terminal.say("\n* This needs more packages. Install them with:")
        terminal.say(f"  {install_command(missing)}", style="cyan")
    terminal.say(f"\nAll commands: {program} --help")
