"""`mnist-cnn augment`."""

from __future__ import annotations

from pathlib import Path

import click

from mnist_cnn.cli.data import dataset_option, resolve
from mnist_cnn.cli.options import PATH, InWords, NameOrPath, data_dir_option, json_option, set_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.config import DEFAULT_RECIPE, load_recipe, override, parse_setting, recipe_names
from mnist_cnn.files import check_writable


@click.command(cls=Verb, example="mnist-cnn augment --set augmentation.rotation=30")
@click.option(
    "--recipe",
    type=NameOrPath(recipe_names),
    default=DEFAULT_RECIPE,
    help=f"Recipe whose distortions to draw (default: {DEFAULT_RECIPE}).",
)
@dataset_option
@data_dir_option
@set_option("Change a distortion, such as augmentation.rotation=30.")
@click.option(
    "--seed",
    cls=InWords,
    type=click.IntRange(min=0),
    metavar="INTEGER",
    default=1,
    help="Seed that chooses digits and distortions, at least 0 (default: 1).",
)
@click.option(
    "--output", type=PATH, default=Path("augmentation.png"), help="File for the picture (default: augmentation.png)."
)
@json_option
def augment(
    recipe: str,
    dataset: str,
    data_dir: Path | None,
    settings: tuple[str, ...],
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Draw a contact sheet of digits and their distorted copies."""
    from mnist_cnn.evaluation.figures.contact_sheet import draw_contact_sheet
    from mnist_cnn.evaluation.figures.style import save

    terminal = Terminal(as_json)
    changes = dict(parse_setting(text) for text in settings)
    config = override(load_recipe(recipe), changes).augmentation
    check_writable(output)
    data = resolve(dataset, data_dir, terminal)
    save(draw_contact_sheet(data.load("train"), config, seed), output)
    terminal.say(f"Contact sheet: {output}")
    terminal.finish({"output": str(output), "augmentation": vars(config)})
