"""The option by which the user says how a stranger's model wants grey levels."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from mnist_cnn.errors import SettingError


def _check(scale: float | None) -> float | None:
    """Refuse what no grey level can be multiplied by; every command says it in the same words.

    Raises:
        SettingError: It is not a number above 0.
    """
    if scale is not None and not 0 < scale < math.inf:
        raise SettingError(f"--scale {scale:g} is not valid. Give a number above 0, such as 1 or {1 / 255:.6f}.")
    return scale


ScaleOption = Annotated[
    float | None,
    typer.Option(
        help="For models made by others: multiply grey levels 0 … 255 by this (default: what the model says, or else "
        "what reads known digits best).",
        show_default=False,
        callback=_check,
    ),
]
