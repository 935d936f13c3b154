"""`mnist-cnn explore`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from mnist_cnn.cli.data import dataset_option, resolve
from mnist_cnn.cli.options import PATH, data_dir_option, json_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.files import check_writable


@click.command(cls=Verb, example="mnist-cnn explore --dataset fashion-mnist")
@dataset_option
@data_dir_option
@click.option(
    "--output",
    type=PATH,
    default=Path("exploration"),
    help="Folder for the pictures and exploration.json (default: exploration).",
)
@json_option
def explore(dataset: str, data_dir: Path | None, output: Path, as_json: bool) -> None:
    """Describe a data set in numbers and pictures.

    It shows the class distribution, pixel statistics, mean images, samples and duplicates.
    """
    from mnist_cnn.evaluation.exploration import write_exploration

    terminal = Terminal(as_json)
    check_writable(output / "exploration.json")
    resolved = resolve(dataset, data_dir, terminal)
    found = dataclasses.asdict(write_exploration(output, resolved.load("train"), resolved.load("test")))
    counts = found["class_counts"]
    terminal.table(
        ["class", *counts],
        [[name, *(counts[split][index] for split in counts)] for index, name in enumerate(found["class_names"])],
        title=f"Images per class in {found['dataset']}",
    )
    terminal.table(["", *counts], _pixel_rows(found["pixels"], found["ink"]), title="Pixels and ink")
    duplicates = found["duplicates"]
    within = ", ".join(f"{count} in {split}" for split, count in duplicates["within"].items())
    terminal.say(f"Duplicate images: {within}; {duplicates['across']} images are in both train and test.")
    terminal.say(f"Pictures and exploration.json are in {output}")
    terminal.finish({**found, "output": str(output)})


def _pixel_rows(pixels: Mapping[str, Any], ink: Mapping[str, Any]) -> list[list[str]]:
    def row(label: str, values: Mapping[str, Any], show: Callable[[Any], str]) -> list[str]:
        return [label, *(show(values[split]) for split in values)]

    return [
        row("grey level (0 … 255), mean ± SD", pixels, lambda each: f"{each['mean']:.1f} ± {each['std']:.1f}"),
        row("pixels without ink", pixels, lambda each: f"{each['share_of_zero']:.1%}"),
        row("grey level of ink, median", pixels, lambda each: f"{each['quantiles'].get('0.5', 0):.0f}"),
        row("bounding box of the ink, median", ink, lambda each: f"{each['width']:g} × {each['height']:g} pixels"),
        row("distance from centre to centre of mass, median", ink, lambda each: f"{each['offset']:.2f} pixels"),
        row("blank images", ink, lambda each: f"{each['blank']:,}"),
    ]
