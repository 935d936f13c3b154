"""`--output` with the name of a table, and `--ray`: read many images into one file, for `predict` and `read`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnist_cnn.cli.inputs import STDIN, DigestedInput, find_images
from mnist_cnn.cli.options import ray_option, refuse_options
from mnist_cnn.errors import ImageError, SettingError

if TYPE_CHECKING:
    from mnist_cnn.bulk.job import Job
    from mnist_cnn.bulk.unfinished import TableProgress

_PARQUET = ".parquet"  # as in `bulk.image_tables`, which is imported only if it is needed
TABLES = (".csv", _PARQUET)
_BULK_ONLY = ("ray", "column", "key")
_NOT_IN_BULK = ("form", "explain")
_ADDRESS = re.compile(r"\w\w+:[/\\]")  # `Path` has merged the two slashes of s3://; C:\ is a drive


def bulk_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of bulk reading."""
    for option in reversed(
        (
            ray_option("Read", "Needs --output FILE.csv or FILE.parquet, and the extra ray."),
            click.option(
                "--column", default="", metavar="NAME", help="Column of image bytes in Parquet files (default: image)."
            ),
            click.option(
                "--key",
                default="",
                metavar="NAME",
                help="Column that names the rows of Parquet files (default: FILE#ROW).",
            ),
        )
    ):
        command = option(command)
    return command


def is_bulk(output: Path | None, paths: Iterable[str]) -> bool:
    """Return whether the rows are to be written to a file; then some options are impossible, and others without.

    Args:
        output: Of the command line.
        paths: Of the command line.

    Raises:
        SettingError: An impossible option was given, or a Parquet file without an output.
    """
    if output is not None and _ADDRESS.match(str(output)):
        raise SettingError(
            f"--output {output} is not a path on this machine. Write it here, then copy it to the store."
        )
    if output is not None and output.suffix.lower() in TABLES:
        if output.suffix not in TABLES:
            raise SettingError(f"--output {output} must end in lower case. Valid: {', '.join(TABLES)}.")
        refuse_options(_NOT_IN_BULK, f"Omit it: all rows are written to {output}.")
        return True
    refuse_options(_BULK_ONLY, "It needs --output FILE.csv or FILE.parquet, for the rows.")
    for path in paths:
        if path.lower().endswith(_PARQUET):
            raise SettingError(f"{path} is a Parquet file. Add --output FILE.csv or FILE.parquet, for its rows.")
    return False


def read_into_table(
    job: Job, paths: Sequence[str], output: Path, ray: str | None, threads: int | None, as_json: bool
) -> TableProgress:
    """Read all images into a table, and say how many there are.

    Args:
        job: What to read and how.
        paths: Those of the command line.
        output: The table.
        ray: Address of a Ray cluster; None to read on this machine.
        threads: Threads or processes of this machine; None for one per core.
        as_json: Whether standard output receives an object.
    """
    from mnist_cnn.bulk.bulk_reading import read_in_bulk
    from mnist_cnn.environment.machine import usable_cores

    if ray is not None:
        refuse_options(("threads",), "Omit it: with --ray, each core of the cluster reads with one thread.")
    stdin = DigestedInput() if STDIN in paths else None
    with click.progressbar(length=1, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def show(done: int, images: int) -> None:
            bar.length = images
            bar.update(done - bar.pos)

        try:
            progress = read_in_bulk(
                job,
                _names(paths, stdin),
                output,
                paths=paths,
                listed=stdin.digest if stdin else None,
                threads=threads or usable_cores(),
                ray=ray,
                on_progress=show,
            )
        except KeyboardInterrupt:
            if bar.pos:
                click.echo(f"NOTE: {bar.pos:,} rows are kept. The same command continues after them.", err=True)
            raise
    if as_json:
        click.echo(json.dumps({"output": str(output), "images": progress.images, "unreadable": progress.unreadable}))
    unread = f", {progress.unreadable:,} of them not read: see the column error" if progress.unreadable else ""
    click.echo(f"Rows: {output} ({progress.images:,} image{'s' if progress.images > 1 else ''}{unread})", err=True)
    return progress


def _names(paths: Sequence[str], stdin: DigestedInput | None) -> Iterator[str]:
    """Yield the paths of all images and Parquet files; a generator, because a run that continues needs none of them.

    Raises:
        ImageError: None of the paths exists. The table would contain only errors, and because it then exists, the
            corrected command would be refused.
    """
    if not any(path == STDIN or _ADDRESS.match(path) or os.path.exists(path) for path in paths):  # noqa: PTH110
        none = f"{paths[0]} does" if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more do"
        raise ImageError(f"found no images: {none} not exist. Check the spelling.")
    for group in find_images(paths, frozenset({_PARQUET}), stdin):
        for name in group:
            if isinstance(name, bytes):
                raise SettingError("standard input contains an image. With --output FILE.csv, give a list of paths.")
            yield name
