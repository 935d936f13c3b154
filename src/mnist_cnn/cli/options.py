"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.types import OptionHelpExtra

PATH = click.Path(path_type=Path)
MODEL_HELP = "A run folder, a .keras file, or digits for the included weights."

json_option = click.option("--json", "as_json", is_flag=True, help="Print only one JSON object to standard output.")
dataset_option = click.option(
    "--dataset", default="auto", help="Name from mnist-cnn datasets, or a path (default: auto)."
)
data_dir_option = click.option("--data-dir", type=PATH, help="Search this folder first for the files of the data set.")


class InWords(click.Option):
    """An option whose help text names the valid range in words, without Click's formula."""

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return the additions in brackets without the range."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


def set_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the repeatable option `--set KEY=VALUE` with this help text; its parameter is `settings`."""
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=f"{text} Can be repeated.")


scale_option = click.option(
    "--scale",
    cls=InWords,
    type=click.FloatRange(min=0, min_open=True),
    metavar="FLOAT",
    help="Only for third-party models: factor above 0 that converts grey levels 0 … 255 to the model's input "
    "(default: from the model's metadata, otherwise the one that reads known digits best).",
)
