"""`mnist-cnn evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mnist_cnn.cli.data import DataDirOption, resolve
from mnist_cnn.cli.quiet import start_keras
from mnist_cnn.cli.results import report_result, show_metrics
from mnist_cnn.cli.terminal import JsonFlag, Terminal
from mnist_cnn.config import load_recipe
from mnist_cnn.runs import RunFolder


def evaluate(
    model: Annotated[Path, typer.Argument(help="A run folder, or a .keras file.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="A known data set or a path (default: the run's own).", show_default=False),
    ] = None,
    data_dir: DataDirOption = None,
    split: Annotated[Literal["train", "test", "all"], typer.Option(help="Which part of the data set.")] = "test",
    output: Annotated[
        Path | None, typer.Option(help="Write report, pictures and predictions here.", show_default=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure a trained model on any data set; a run on its own test set gets its report (again)."""
    terminal = Terminal(as_json)
    run = RunFolder(model)
    is_run = run.config.exists()
    own = load_recipe(str(run.config)).data.dataset if is_run else "auto"
    data = resolve(dataset or own, data_dir, terminal)

    start_keras()
    from mnist_cnn.evaluation import evaluate as measure
    from mnist_cnn.evaluation import predict
    from mnist_cnn.model_files import open_model

    network = open_model(model)
    predictions = predict(network, data.load(split))
    if output:
        report_result(RunFolder(output), network, predictions, {}, terminal)
    elif is_run and dataset is None and split == "test":
        known = run.read_json(run.metrics)["training"] if run.metrics.exists() else {}
        report_result(run, network, predictions, known, terminal)
    else:
        record = {"dataset": data.name, "split": split, **measure(predictions).as_dict()}
        show_metrics(record, terminal)
        terminal.finish(record)
