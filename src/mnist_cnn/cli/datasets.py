"""`mnist-cnn datasets`."""

from __future__ import annotations

import click

from mnist_cnn.cli.options import json_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.datasets import list_datasets


@click.command()
@json_option
def datasets(as_json: bool) -> None:
    """List the data sets that are known by name."""
    terminal = Terminal(as_json)
    known = list_datasets()
    terminal.table(["name", "what it is"], known.items())
    terminal.say(
        "Also: a folder with one sub-folder of images per class, IDX files, an .npz file, or a .csv table, by its path."
    )
    terminal.finish({"datasets": known})
