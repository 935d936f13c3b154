"""The option by which the user says how a stranger's model wants grey levels."""

from __future__ import annotations

from typing import Annotated

import typer

ScaleOption = Annotated[
    float | None,
    typer.Option(
        help="For models made by others: multiply grey levels 0 … 255 by this (default: what the model says, or else "
        "what reads known digits best).",
        show_default=False,
    ),
]
