"""`mnist-cnn read`: read whole numbers in files, folders or standard input, and print one row per image."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnist_cnn.cli.bulk_output import bulk_options, is_bulk, read_into_table
from mnist_cnn.cli.options import PATH, json_option, number_model
from mnist_cnn.cli.readings import (
    Explanations,
    choose_form,
    choose_picture,
    choose_threads,
    explain_option,
    format_option,
    images_argument,
    length_option,
    on_all_cores,
    output_option,
    pattern_option,
    print_readings,
    quieten,
    second_opinion_option,
    threads_option,
)
from mnist_cnn.cli.rows import number_rows
from mnist_cnn.cli.verb import Verb
from mnist_cnn.reading.reading_records import TEXT

if TYPE_CHECKING:
    from mnist_cnn.bulk.job import Job
    from mnist_cnn.reading.numbers import NumberReading
    from mnist_cnn.reading.numbers.number_explanation import ExplainedNumber


@click.command(cls=Verb, example="mnist-cnn read amount.jpg codes/ --length 5")
@images_argument
@length_option
@pattern_option
@click.option("--model", type=PATH, help="An ONNX file that reads numbers (default: the included weights).")
@format_option
@click.option("--threshold", type=float, help="Minimum confidence to accept a number, 0 to 1 (default: the model's).")
@second_opinion_option
@threads_option
@explain_option("Also draw a picture of each image with a box and the confidence of each digit.")
@output_option
@bulk_options
@json_option
def read(
    paths: tuple[str, ...],
    length: str | None,
    pattern: str | None,
    model: Path | None,
    form: str,
    threshold: float | None,
    second_opinion: bool,
    threads: int | None,
    explain: bool,
    output: Path | None,
    ray: str | None,
    column: str,
    key: str,
    as_json: bool,
) -> None:
    """Read the whole number in each image, such as a postal code or a meter reading.

    Exit code 0: all images were read. 1: some could not be read, as their rows say. 2: no image was found.
    """
    form, chosen, bulk = choose_form(form, as_json), number_model(model), is_bulk(output, paths)
    picture = choose_picture(output, paths) if (explain or output) and not bulk else None
    quieten()
    from mnist_cnn.reading.numbers import Constraint, NumberReader

    Constraint.of(length, pattern)  # an error in it comes before the network is loaded
    reader = NumberReader.load(
        chosen,
        threads=choose_threads(threads, paths),
        threshold=threshold,
        second_opinion=second_opinion,
    )

    def job() -> Job:
        from mnist_cnn.bulk.image_tables import Columns
        from mnist_cnn.bulk.job import Job, collect_model

        return Job(
            TEXT,
            reader.threshold,
            collect_model(chosen),
            length=length,
            pattern=pattern,
            second_opinion=second_opinion,
            columns=Columns(column, key),
        )

    if output and bulk:
        unreadable = read_into_table(job(), paths, output, ray, threads, as_json).unreadable
    else:
        rows = number_rows(form)
        in_threads = partial(reader.read_many, length=length, pattern=pattern)
        with on_all_cores(job, in_threads, reader.threads) as read_many:
            print_readings(paths, read_many, rows, _explanations(picture))
        unreadable = rows.unreadable
    if unreadable:
        click.get_current_context().exit(1)


def _explanations(picture: Path | None) -> Explanations[NumberReading, ExplainedNumber] | None:
    if picture is None:
        return None
    from mnist_cnn.reading.numbers.number_explanation import draw

    return Explanations(picture, _explained, draw)


def _explained(name: str, image: str | bytes, reading: NumberReading) -> ExplainedNumber:
    from mnist_cnn.reading.numbers.number_explanation import ExplainedNumber

    return ExplainedNumber.of(name, image, reading)
