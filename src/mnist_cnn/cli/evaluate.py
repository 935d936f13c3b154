"""`mnist-cnn evaluate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mnist_cnn.cli.data import DATASET, resolve, resolve_for_run
from mnist_cnn.cli.measurements import report_result, show_metrics
from mnist_cnn.cli.number_measurements import HowToRead, evaluate_numbers
from mnist_cnn.cli.options import (
    MODEL_HELP,
    PATH,
    data_dir_option,
    is_included,
    json_option,
    refuse_options,
    scale_option,
)
from mnist_cnn.cli.readings import length_option, pattern_option, second_opinion_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.environment import shell
from mnist_cnn.errors import RunFolderError, SettingError
from mnist_cnn.files import SHIPPED_NUMBERS, check_writable
from mnist_cnn.models.quiet import start_keras
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnist_cnn.datasets import Dataset
    from mnist_cnn.evaluation.robustness import Robustness
    from mnist_cnn.models.backend import keras


@click.command(cls=Verb, example="mnist-cnn evaluate runs/quick-001 --dataset qmnist")
@click.argument("model", type=PATH, help=f"{MODEL_HELP} For whole numbers, an ONNX file as well.")
@click.option(
    "--dataset",
    type=DATASET,
    help="Name from mnist-cnn datasets, or a path (default: the run's own, otherwise auto). For whole numbers, a "
    "folder of pictures with labels.csv, whose columns file and text say what is written in each.",
)
@data_dir_option
@click.option(
    "--split",
    type=click.Choice(["train", "test", "all"]),
    default="test",
    help="Which part of the data set (default: test).",
)
@scale_option
@length_option
@pattern_option
@second_opinion_option
@click.option(
    "--corruptions",
    is_flag=True,
    help="Also measure the accuracy on MNIST-C's fifteen corruptions of the images, as they are, and prepared like "
    "image files.",
)
@click.option("--output", type=PATH, help="Write a report, pictures and predictions into this folder.")
@json_option
def evaluate(
    model: Path,
    dataset: str | None,
    data_dir: Path | None,
    split: Literal["train", "test", "all"],
    scale: float | None,
    length: str | None,
    pattern: str | None,
    second_opinion: bool,
    corruptions: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Evaluate a trained model on any data set.

    If the model is a run and the data are its own test set, its report is written again. For a model of
    whole numbers, it is also shown how many are accepted, and which threshold lets at most 1 % of them be wrong;
    only there, --length, --pattern and --second-opinion are those of mnist-cnn read.
    """
    terminal = Terminal(as_json)
    if output:
        _check_output(output)
    if _reads_numbers(model):
        single = "split", "scale", "data_dir", "corruptions"
        refuse_options(single, f"Omit it: {model} reads whole numbers.")
        evaluate_numbers(model, dataset, HowToRead(length, pattern, second_opinion), output, terminal)
        return
    refuse_options(("length", "pattern", "second_opinion"), f"{model} reads single digits. Give it only for numbers.")
    from mnist_cnn.models.persistence import known_digits_of, read_model

    run = RunFolder(model)
    _check_finished(run)
    is_rewritten = output is None and run.config.exists() and dataset is None and split == "test"
    if is_rewritten:
        check_writable(run.report)
    if dataset is None and run.config.exists():
        data = resolve_for_run(run, data_dir, terminal)
    else:
        data = resolve(dataset or "auto", data_dir, terminal)

    start_keras()
    from mnist_cnn.evaluation.findings import gather, metrics_record
    from mnist_cnn.evaluation.predictions import predict

    opened = read_model(model, scale=scale, known=partial(known_digits_of, data))
    network, adoption = opened.model, opened.adoption
    adoption.choice.check(str(model))
    for remark in adoption.remarks:
        terminal.warn(remark)
    predictions = predict(network, data.load(split))
    robustness = _corrupt(network, predictions.dataset, terminal) if corruptions else None
    options = [*(["--split", split] if split != "test" else []), *(["--scale", f"{scale:.9g}"] if scale else [])]
    options += ["--corruptions"] if corruptions else []
    command = shell.join(["mnist-cnn", "evaluate", str(model), "--dataset", data.name, *options])
    known = run.read_json(run.metrics)["training"] if run.metrics.exists() else {}
    if output:
        report_result(
            RunFolder(output),
            network,
            predictions,
            terminal,
            training=known,
            trained_in=run if model.is_dir() else None,
            command=command,
            adoption=adoption,
            robustness=robustness,
        )
    elif is_rewritten:
        report_result(run, network, predictions, terminal, training=known, robustness=robustness)
    else:
        record = metrics_record(gather(run, network, predictions, known, command, adoption, robustness))
        show_metrics(record, terminal)
        terminal.finish(record)


def _corrupt(network: keras.Model, dataset: Dataset, terminal: Terminal) -> Robustness:
    """Measure the accuracy on corrupted images, and show the progress."""
    from rich.progress import track

    from mnist_cnn.evaluation.corruptions import CORRUPTIONS
    from mnist_cnn.evaluation.predictions import predict_images
    from mnist_cnn.evaluation.robustness import Robustness, measure_corruptions

    def classify(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        classes: NDArray[np.int64] = predict_images(network, images).argmax(axis=1)
        return classes

    scores = track(
        measure_corruptions(classify, dataset),
        "Corrupting the images",
        len(CORRUPTIONS),
        console=terminal.console,
        transient=True,
        disable=not terminal.console.is_terminal,
    )
    return Robustness(len(dataset), tuple(scores))


def _check_finished(run: RunFolder) -> None:
    """Check that there is a model.

    Raises:
        InputError: There is none, or its training is not finished.
    """
    from mnist_cnn.models.persistence import model_file

    if run.config.exists() and not run.model.exists():
        raise RunFolderError(f"{run.root} is not finished. Continue with: {run.resume_command}")
    model_file(run.root)


def _reads_numbers(model: Path) -> bool:
    """Return whether a model reads whole numbers.

    Raises:
        ModelFileError: It is an ONNX file of another kind: other models of single digits are evaluated in Keras' form.
    """
    if model.suffix == ".onnx":
        from mnist_cnn.reading.numbers import NumberReader

        NumberReader.load(model, threads=1)
        return True
    return is_included(model, SHIPPED_NUMBERS)


def _check_output(folder: Path) -> None:
    """Check that the report would not be mixed with other files; an earlier evaluation may be replaced.

    Raises:
        SettingError: It is a run, a file, or contains other files.
        WriteError: It cannot be written.
    """
    target = RunFolder(folder)
    if target.config.exists():
        raise SettingError(
            f"--output {folder} is a run. Leave out --output to write the run's report again, or name another folder."
        )
    if folder.exists() and not (folder.is_dir() and (target.metrics.exists() or not any(folder.iterdir()))):
        raise SettingError(f"--output {folder} is a file or contains other files. Name a new or empty folder.")
    check_writable(target.report)
