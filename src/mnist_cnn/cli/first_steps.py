"""What `mnist-cnn` shows without a command: what to do first."""

from __future__ import annotations

import click

from mnist_cnn.environment.extras import is_complete
from mnist_cnn.environment.installation import PACKAGE, install_command, run_command
from mnist_cnn.environment.machine import package_version

_STEPS = (  # the arguments of the command, the extra that it needs, and what it does
    ("demo", "", "Read eight sample pictures."),
    ("predict photo.jpg scans/", "", "Read your own pictures."),
    ("serve --open", "serve", "Draw digits in the browser."),
    ("train", "train", "Train a network and write a report."),
    ("doctor", "", "Check this installation."),
)


def show_first_steps(context: click.Context) -> None:
    """Print the first steps, and how to install what this installation lacks for them."""
    program, version = run_command(), package_version(PACKAGE)
    missing = [extra for _, extra, _ in _STEPS if extra and not is_complete(extra)]
    rows = [
        (click.style(f"{program} {words}", fg="cyan"), f"{text} *" if extra in missing else text)
        for words, extra, text in _STEPS
    ]
    formatter = context.make_formatter()
    formatter.write_text(f"{click.style('mnist-cnn', bold=True)} {version} recognises handwritten digits. First steps:")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_dl(rows, col_max=40)
    if missing:
        formatter.write("\n* This needs more packages. Install them with:\n")
        formatter.write(f"  {click.style(install_command(missing) or '', fg='cyan')}\n")
    formatter.write(f"\nAll commands: {program} --help\n")
    click.echo(formatter.getvalue(), nl=False)
