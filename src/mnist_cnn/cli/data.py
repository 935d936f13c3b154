"""How every verb finds the data set that it is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.config import load_recipe
from mnist_cnn.datasets import ResolvedDataset, resolve_dataset
from mnist_cnn.runs import RunFolder


def resolve(name: str, data_dir: Path | None, terminal: Terminal) -> ResolvedDataset:
    """Find the data set, downloading it if need be, and say loudly where it is not the one that was meant."""
    with terminal.download_bar() as progress:
        resolved = resolve_dataset(name, data_dir=data_dir, progress=progress)
    if resolved.notice:
        terminal.warn(resolved.notice)
    return resolved


def resolve_for_run(run: RunFolder, data_dir: Path | None, terminal: Terminal) -> ResolvedDataset:
    """Find the data set of a run, with what had to be said loudly when the run began."""
    known = run.read_json(run.environment)["data"] if run.environment.exists() else {"source": "", "notice": ""}
    recorded = Path(known["source"])
    if data_dir is None and known["source"] and recorded.is_dir():
        data_dir = recorded  # where --data-dir led when the run began
    data = resolve(load_recipe(str(run.config)).data.dataset, data_dir, terminal)
    notice = known["notice"]
    if not notice or data.notice:
        return data
    terminal.warn(notice)
    return replace(data, notice=notice)
