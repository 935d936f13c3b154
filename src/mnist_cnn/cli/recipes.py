"""`mnist-cnn recipes`."""

from __future__ import annotations

import click

from mnist_cnn.cli.options import json_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.config import DEFAULT_RECIPE, load_recipe, recipe_names


@click.command(cls=Verb, example="mnist-cnn recipes")
@json_option
def recipes(as_json: bool) -> None:
    """List the named recipes with their expected accuracy and time."""
    terminal = Terminal(as_json)
    known = {name: load_recipe(name) for name in recipe_names()}
    for name, recipe in known.items():
        terminal.say(f"{name}{'  (default)' if name == DEFAULT_RECIPE else ''}", style="bold")
        terminal.say(f"  {recipe.title}")
        terminal.say(f"  source      {recipe.source}")
        terminal.say(f"  parameters  {recipe.parameters:,}")
        terminal.say(f"  expected    {recipe.expected_accuracy}")
        terminal.say(f"  time        {recipe.expected_time}")
        terminal.say(f"  train it    mnist-cnn train --recipe {name}\n")
    terminal.finish({"default": DEFAULT_RECIPE, "recipes": {name: each.to_dict() for name, each in known.items()}})
