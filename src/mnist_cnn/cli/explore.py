"""`mnist-cnn explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnist_cnn.cli.data import DataDirOption, DatasetOption, resolve
from mnist_cnn.cli.terminal import JsonFlag, Terminal


def explore(
    dataset: DatasetOption = "auto",
    data_dir: DataDirOption = None,
    output: Annotated[Path, typer.Option(help="Folder for the pictures and exploration.json.")] = Path("exploration"),
    as_json: JsonFlag = False,
) -> None:
    """Look at a data set: class distribution, pixels, mean images, samples, duplicates."""
    from mnist_cnn.exploration import write_exploration

    terminal = Terminal(as_json)
    resolved = resolve(dataset, data_dir, terminal)
    found = write_exploration(output, resolved.load("train"), resolved.load("test")).as_dict()
    counts = found["class_counts"]
    terminal.table(
        ["class", *counts],
        [[name, *(counts[split][index] for split in counts)] for index, name in enumerate(found["class_names"])],
        title=f"Images per class of {found['dataset']}",
    )
    for title, values in (("Pixels (0 … 255)", found["pixels"]), ("Ink (pixels)", found["ink"])):
        names = list(next(iter(values.values())))
        terminal.table(["", *values], [[name, *(str(values[s][name]) for s in values)] for name in names], title=title)
    duplicates = found["duplicates"]
    within = ", ".join(f"{count} within {split}" for split, count in duplicates["within"].items())
    terminal.say(f"Groups of equal images: {within}; {duplicates['across']} shared by train and test.")
    terminal.say(f"Pictures and exploration.json are in {output}")
    terminal.finish({**found, "output": str(output)})
