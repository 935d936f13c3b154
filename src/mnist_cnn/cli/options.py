"""Options that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mnist_cnn.errors import SettingError

PATH = click.Path(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print only one JSON object to standard output.")
dataset_option = click.option(
    "--dataset", default="auto", help="A known name (see: mnist-cnn datasets), or a path to images."
)
data_dir_option = click.option("--data-dir", type=PATH, help="Look for the data set's files here first.")


def set_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give the repeatable option `--set KEY=VALUE` with this help text; the verb gets it as `settings`."""
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=text)


def _check_scale(_context: click.Context, _option: click.Parameter, scale: float | None) -> float | None:
    """Refuse what no grey level can be multiplied by, for every verb in the same words.

    Raises:
        SettingError: It is not a number above 0.
    """
    if scale is not None and not 0 < scale < math.inf:
        raise SettingError(f"--scale {scale:g} is not valid. Give a number above 0, such as 1 or {1 / 255:.6f}.")
    return scale


scale_option = click.option(
    "--scale",
    type=float,
    callback=_check_scale,
    help="For models made by others: multiply grey levels 0 … 255 by this (default: what the model says, or else "
    "what reads known digits best).",
)
