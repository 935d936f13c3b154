"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print only one JSON object to standard output.")
dataset_option = click.option("--dataset", default="auto", help="A name (see: mnist-cnn datasets) or a path.")
data_dir_option = click.option("--data-dir", type=PATH, help="Search this folder first for the files of the data set.")


def set_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give the repeatable option `--set KEY=VALUE` with this help text; its parameter is `settings`."""
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=text)


scale_option = click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    help="Only for models from elsewhere: factor that converts grey levels 0 … 255 to the model's input (default: from "
    "the model's metadata, otherwise the one that reads known digits best).",
)
