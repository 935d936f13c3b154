"""`mnist-cnn datasets`."""

from __future__ import annotations

import click

from mnist_cnn.cli.options import json_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.datasets import list_datasets


@click.command(cls=Verb, example="mnist-cnn datasets")
@json_option
def datasets(as_json: bool) -> None:
    """List the data sets that have a name."""
    terminal = Terminal(as_json)
    known = list_datasets()
    terminal.table(["name", "description"], known.items())
    terminal.say(
        "Or give the path of a folder with one subfolder of images per class, IDX files, an .npz file or a CSV table."
    )
    terminal.finish({"datasets": known})
