"""`mnist-cnn compare`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from mnist_cnn.cli.options import PATH, json_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.runs import open_run


@click.command(cls=Verb, example="mnist-cnn compare runs/quick-001 runs/vgg-001")
@click.argument("runs", nargs=-1, required=True, type=PATH, help="Run folders; each is tested against the first.")
@json_option
def compare(runs: tuple[Path, ...], as_json: bool) -> None:
    """Compare the settings and the metrics of runs.

    A paired test on the same test images says whether a difference is more than chance.
    """
    from mnist_cnn.evaluation.comparison import compare as compare_runs

    terminal = Terminal(as_json)
    comparison = compare_runs([open_run(path) for path in runs])
    if comparison.settings:
        rows = [[name, *values] for name, values in comparison.settings.items()]
        terminal.table(["setting", *comparison.runs], rows, title="Settings that differ")
    terminal.table(["metric", *comparison.runs], comparison.metric_rows(), title="Metrics")
    for other in comparison.tests:
        terminal.say(other.summary)
    terminal.finish(dataclasses.asdict(comparison))
