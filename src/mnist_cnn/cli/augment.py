"""`mnist-cnn augment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_cnn.cli.data import DataDirOption, DatasetOption, resolve
from mnist_cnn.cli.terminal import JsonFlag, Terminal
from mnist_cnn.config import DEFAULT_RECIPE, load_recipe, override, parse_setting


def augment(
    recipe: Annotated[str, typer.Option(help="The recipe whose distortions to draw.")] = DEFAULT_RECIPE,
    dataset: DatasetOption = "auto",
    data_dir: DataDirOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a distortion, such as augmentation.rotation=30."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Chooses digits and distortions.")] = 1,
    output: Annotated[Path, typer.Option(help="The picture.")] = Path("augmentation.png"),
    as_json: JsonFlag = False,
) -> None:
    """Draw a contact sheet of digits and their distorted copies."""
    from mnist_cnn.evaluation.figures.contact_sheet import draw_contact_sheet
    from mnist_cnn.evaluation.figures.style import save

    terminal = Terminal(as_json)
    changes = dict(parse_setting(text) for text in settings or [])
    config = override(load_recipe(recipe), changes).augmentation
    data = resolve(dataset, data_dir, terminal)
    save(draw_contact_sheet(data.load("train"), config, seed), output)
    terminal.say(f"Contact sheet: {output}")
    terminal.finish({"output": str(output), "augmentation": vars(config)})
