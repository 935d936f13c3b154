"""The option that names a data set, and finding the data set that the user or a run names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from mnist_cnn.cli.options import NameOrPath
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.config import load_recipe
from mnist_cnn.datasets import ResolvedDataset, list_datasets, resolve_dataset
from mnist_cnn.runs import RunFolder

DATASET = NameOrPath(list_datasets)

dataset_option = click.option(
    "--dataset", type=DATASET, default="auto", help="Name from mnist-cnn datasets, or a path (default: auto)."
)


def resolve(name: str, data_dir: Path | None, terminal: Terminal) -> ResolvedDataset:
    """Find a data set, download it if necessary, and warn if it is a substitute."""
    with terminal.download_bar() as progress:
        resolved = resolve_dataset(name, data_dir=data_dir, progress=progress)
    if resolved.notice:
        terminal.warn(resolved.notice)
    return resolved


def recorded_folder(run: RunFolder) -> Path | None:
    """Return the folder from which a run has read its data set, such as its --data-dir; None if there is none."""
    source = run.read_json(run.environment)["data"]["source"] if run.environment.exists() else ""
    return Path(source) if source and Path(source).is_dir() else None


def resolve_for_run(run: RunFolder, data_dir: Path | None, terminal: Terminal) -> ResolvedDataset:
    """Find the data set of a run, and repeat the warning given when the run started."""
    data = resolve(load_recipe(str(run.config)).data.dataset, data_dir or recorded_folder(run), terminal)
    notice = run.read_json(run.environment)["data"]["notice"] if run.environment.exists() else ""
    if not notice or data.notice:
        return data
    terminal.warn(notice)
    return replace(data, notice=notice)
