"""A command of `mnist-cnn`: its help text begins with an example."""

from __future__ import annotations

from typing import Any

import click


class Verb(click.Command):
    """A command with an example.

    Attributes:
        example: A whole command line that the command accepts.
    """

    def __init__(self, *arguments: Any, example: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.example = example

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, unwrapped so that it can be copied, then the help text."""
        with formatter.section("Example"):
            formatter.write(f"{'':{formatter.current_indent}}{self.example}\n")
        super().format_help_text(ctx, formatter)
