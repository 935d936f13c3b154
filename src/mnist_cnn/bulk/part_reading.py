"""Read one part: the function that runs on the workers."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mnist_cnn.bulk.image_tables import read_rows
from mnist_cnn.bulk.job import Image, Job, LoadedReader, included_weights, load_reader
from mnist_cnn.bulk.parts import ImagePart
from mnist_cnn.bulk.stores import read_object, show
from mnist_cnn.environment.installation import PACKAGE
from mnist_cnn.environment.machine import package_version
from mnist_cnn.errors import DataError, ImageError, MnistCnnError
from mnist_cnn.reading.reading_records import csv_line, error_record
from mnist_cnn.reading.recognizer.ahead import map_ahead

_FETCHING = 8  # threads that wait for an object store, so that the processor does not


@dataclass(frozen=True)
class PartRows:
    """The rows of one part, or why it could not be read at all."""

    lines: bytes = b""  #: of CSV, one for each image
    reasons: Counter[str] = field(default_factory=Counter)  #: how many images were rejected for each reason
    problem: str = ""  #: one line, if nothing was read
    exit_code: int = 0  #: of the problem
    is_missing: bool = False  #: none of the files exists on the machine that was asked
    host: str = field(default_factory=socket.gethostname)  #: that machine


def read_part(job: Job, part: ImagePart, threads: int = 1) -> PartRows:
    """Read the images of a part. An unreadable image is a row, not a failure.

    Args:
        job: What to read and how.
        part: The images.
        threads: Number of threads that share the work.
    """
    if difference := _difference(job):
        remedy = "Install the same version on all machines of the cluster."
        return PartRows(problem=f"{difference}. {remedy}", exit_code=2)
    with contextlib.suppress(OSError):  # another machine may not have it; then the files are missing, too
        os.chdir(job.folder)
    is_missing = not part.store and not any(map(os.path.exists, part.files))
    try:
        reader = load_reader(job)
        lines, reasons = [], Counter[str]()
        for name, result in reader.read_batch(_images(job, part), threads):
            record = _record(job, reader, name, result)
            lines.append(csv_line(record, job.header))
            reasons[record.get("reason", "")] += 1
    except MnistCnnError as error:
        return PartRows(problem=str(error), exit_code=error.exit_code, is_missing=is_missing)
    return PartRows(b"".join(lines), reasons, is_missing=is_missing)


def _difference(job: Job) -> str:
    """Return why this machine would read differently from the one that made the job."""
    if (here := package_version(PACKAGE)) != job.version:
        return f"{PACKAGE} {here or 'of unknown version'} is installed, not {job.version}"
    if job.weights and job.weights != included_weights(job.heading):
        return f"its {PACKAGE} {here} includes other weights than the {PACKAGE} {here} that was started"
    return ""


def _images(job: Job, part: ImagePart) -> Iterator[tuple[str, Image | DataError]]:
    """Yield the name of each image, and the image, or why there is none."""
    if part.rows:
        for name, image in read_rows(part.files[0], part.store, part.rows, job.columns):
            yield name, ImageError(f"{name} contains no image.") if image is None else image
    elif part.store:
        yield from map_ahead(functools.partial(_fetch, part.store), part.files, _FETCHING)
    else:
        yield from ((file, file) for file in part.files)


def _fetch(store: str, path: str) -> tuple[str, bytes | DataError]:
    name = show(store, path)
    try:
        return name, read_object(store, path)
    except ImageError as error:
        return name, error


def _record(job: Job, reader: LoadedReader, name: str, result: Any) -> dict[str, Any]:
    if isinstance(result, DataError):
        return {"path": name, **error_record(job.heading, result, name)}
    return {"path": name, **reader.describe(result)}
