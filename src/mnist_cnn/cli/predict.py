"""`mnist-cnn predict`: read files, folders or standard input, and print one row per image."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnist_cnn.cli.bulk_output import bulk_options, is_bulk, read_into_table
from mnist_cnn.cli.options import PATH, digit_model, json_option, scale_option
from mnist_cnn.cli.readings import (
    Explanations,
    choose_form,
    choose_picture,
    choose_threads,
    explain_option,
    format_option,
    images_argument,
    on_all_cores,
    output_option,
    print_readings,
    quieten,
    threads_option,
)
from mnist_cnn.cli.rows import digit_rows
from mnist_cnn.cli.verb import Verb
from mnist_cnn.reading.reading_records import DIGIT, UNREADABLE

if TYPE_CHECKING:
    from mnist_cnn.bulk.job import Job
    from mnist_cnn.reading.recognizer import Reading, Recognizer
    from mnist_cnn.reading.recognizer.explanation import Explained


@click.command(cls=Verb, example="mnist-cnn predict photo.jpg scans/ --explain")
@images_argument
@click.option("--model", type=PATH, help="An ONNX file or an exported run (default: the included weights).")
@format_option
@click.option("--threshold", type=float, help="Minimum confidence to accept a digit, 0 to 1 (default: the model's).")
@scale_option
@threads_option
@explain_option("Also draw a picture of the steps that prepare each image.")
@output_option
@bulk_options
@json_option
def predict(
    paths: tuple[str, ...],
    model: Path | None,
    form: str,
    threshold: float | None,
    scale: float | None,
    threads: int | None,
    explain: bool,
    output: Path | None,
    ray: str | None,
    column: str,
    key: str,
    as_json: bool,
) -> None:
    """Read the digit in each image. For whole numbers, use mnist-cnn read.

    Exit code 0: all images were read. 1: some could not be read, as their rows say. 2: no image was found.
    """
    form, chosen, bulk = choose_form(form, as_json), digit_model(model), is_bulk(output, paths)
    picture = choose_picture(output, paths) if (explain or output) and not bulk else None
    quieten()
    warnings.filterwarnings("ignore", message=".* is assumed")  # reported below
    from mnist_cnn.reading.recognizer import Reason, Recognizer

    recognizer = Recognizer.load(chosen, threads=choose_threads(threads, paths), threshold=threshold, scale=scale)
    if recognizer.choice.origin in ("tried", "assumed"):
        click.echo(f"NOTE: {recognizer.choice.remark}", err=True)

    def job() -> Job:
        from mnist_cnn.bulk.image_tables import Columns
        from mnist_cnn.bulk.job import Job, collect_model

        return Job(DIGIT, recognizer.threshold, collect_model(chosen), scale=scale, columns=Columns(column, key))

    if output and bulk:
        reasons = read_into_table(job(), paths, output, ray, threads, as_json).reasons
    else:
        rows = digit_rows(form, recognizer.class_names)
        with on_all_cores(job, recognizer.read_many, recognizer.threads) as read_many:
            print_readings(paths, read_many, rows, _explanations(recognizer, picture))
        reasons = rows.reasons
    if several := reasons[Reason.SEVERAL]:
        images = "1 image has" if several == 1 else f"{several:,} images have"
        click.echo(f"NOTE: {images} more than one thing to read. To read whole numbers: mnist-cnn read", err=True)
    if reasons[UNREADABLE]:
        click.get_current_context().exit(1)


def _explanations(recognizer: Recognizer, picture: Path | None) -> Explanations[Reading, Explained] | None:
    if picture is None:
        return None
    from mnist_cnn.reading.recognizer.explanation import draw

    return Explanations(picture, partial(_explained, recognizer.class_names), draw)


def _explained(class_names: tuple[str, ...], name: str, image: str | bytes, reading: Reading) -> Explained:
    from mnist_cnn.reading.ink import stages
    from mnist_cnn.reading.recognizer.explanation import Explained

    return Explained.of(name, stages(image), reading, class_names)
