"""A table that is being written: what is read so far, so that an interrupted run continues where it stopped.

Beside the table, in a folder of its own: the job, the plan (one part in each line), the rows, and how many of them are
complete. Parts are written in the order of the plan, by one process. After each, a small file is replaced that says how
many parts and bytes are complete; what a killed process wrote beyond that is cut off. So no row is lost or repeated.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from mnist_cnn.bulk.image_tables import TABLE
from mnist_cnn.bulk.job import Job
from mnist_cnn.bulk.part_reading import PartRows
from mnist_cnn.bulk.parts import ImagePart
from mnist_cnn.environment import shell
from mnist_cnn.errors import ImageError, SettingError, WriteError
from mnist_cnn.files import as_write_error, write_json, write_whole
from mnist_cnn.reading.reading_records import UNREADABLE

_BESIDE = ".unfinished"
_JOB, _PLAN, _ROWS, _PROGRESS, _LOCK = "job.json", "plan.jsonl", "rows.csv", "progress.json", "lock"
_SECONDS = 0.5  # between two records of the progress; a killed run repeats the parts since the last one
_BATCH = 10_000  # rows that are converted at once
_IN_WORDS = {"heading": "the column", "folder": "the current folder", "second_opinion": "--second-opinion"}


@dataclass
class TableProgress:
    """How much of a table is complete."""

    parts: int = 0
    bytes: int = 0  #: of the file of rows
    reasons: Counter[str] = field(default_factory=Counter)  #: how many images were rejected for each reason

    @property
    def images(self) -> int:
        """Number of rows."""
        return self.reasons.total()

    @property
    def unreadable(self) -> int:
        """Number of images that could not be read."""
        return self.reasons[UNREADABLE]


class UnfinishedTable:
    """The rows that are complete, and the parts that are not.

    Attributes:
        progress: What is complete.
        images: Number of images in the plan.
    """

    def __init__(self, output: Path, job: Job, paths: Iterable[str], listed: Callable[[], str] | None = None) -> None:
        """Look at what there is; nothing is written yet.

        Args:
            output: The table; its suffix decides between CSV and Parquet.
            job: What is read and how.
            paths: What the user named.
            listed: Returns a digest of the list of paths that they gave besides.
        """
        self.progress = TableProgress()
        self.images = 0
        self._output, self._job = output, job
        self._folder = output.with_name(output.name + _BESIDE)
        self._description = {**job.describe(), "paths": list(paths)}
        self._listed = listed
        self._rows: IO[bytes] | None = None
        self._recorded = 0.0

    @contextlib.contextmanager
    def opened(self, plan: Callable[[], Iterator[ImagePart]]) -> Iterator[None]:
        """Begin or continue the table, alone; what is complete is recorded when the block ends, whatever happens.

        Args:
            plan: Gives all parts; called only if the table is begun.

        Raises:
            SettingError: The table exists, was begun with other settings, or another process writes it.
            ImageError: The plan contains no images.
            WriteError: It cannot be written.
        """
        self._check_new()
        with as_write_error(self._output):
            self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / _LOCK, blocking=False)
        try:
            with lock:
                self._check_new()  # again: another process may have finished it before the lock was free
                self._begin_or_continue(plan)
                try:
                    yield
                finally:
                    self._close()
                    if not self.progress.parts:
                        self._remove()
        except Timeout:
            raise SettingError(
                f"another process is writing {self._output}. Wait, or choose another --output."
            ) from None

    def parts(self) -> Iterator[ImagePart]:
        """Yield the parts that are not complete, in order, without keeping them in memory."""
        with (self._folder / _PLAN).open(encoding="utf-8") as lines:
            yield from map(ImagePart.from_line, itertools.islice(lines, self.progress.parts, None))

    def add(self, rows: PartRows) -> None:
        """Write the rows of the next part.

        Raises:
            WriteError: The disk is full.
        """
        assert self._rows is not None  # noqa: S101  # opened
        with self._as_write_error():
            self._rows.write(rows.lines)
        self.progress.parts += 1
        self.progress.bytes += len(rows.lines)
        self.progress.reasons += rows.reasons
        if time.monotonic() - self._recorded > _SECONDS:
            self._record()

    def finish(self) -> None:
        """Make the table of the rows, which are complete, and remove what is beside it; while `opened`.

        Raises:
            WriteError: The disk is full.
        """
        self._close()
        rows = self._folder / _ROWS
        if rows.exists():  # otherwise a killed process has removed it
            if self._output.suffix == TABLE:
                with write_whole(self._output) as partial:
                    _convert(rows, partial, self._job.heading)
                rows.unlink()
            else:
                with as_write_error(self._output):
                    rows.replace(self._output)
        self._remove()

    def _check_new(self) -> None:
        """Refuse a table that exists, unless only what is beside it was left to remove."""
        is_finished = (self._folder / _PROGRESS).exists() and not (self._folder / _ROWS).exists()
        if self._output.exists() and not is_finished:
            begun = f", and {self._folder} has rows of an unfinished run" if (self._folder / _ROWS).exists() else ""
            raise SettingError(f"{self._output} exists{begun}. Choose another --output, or remove it.")

    def _begin_or_continue(self, plan: Callable[[], Iterator[ImagePart]]) -> None:
        with self._as_write_error():
            if (self._folder / _PROGRESS).exists():
                found = json.loads((self._folder / _PROGRESS).read_text("utf-8"))
                self.progress = TableProgress(found["parts"], found["bytes"], Counter(found["reasons"]))
            if not self.progress.parts:  # whatever was begun, nothing of it is lost
                self.progress = TableProgress()
                self._begin(plan)
            begun = json.loads((self._folder / _JOB).read_text("utf-8"))
            self._check_same(begun)
            self.images = begun["images"]
            if (self._folder / _ROWS).exists() or not self.progress.parts:
                self._open_rows()

    def _open_rows(self) -> None:
        self._rows = (self._folder / _ROWS).open("ab")
        self._rows.truncate(self.progress.bytes)
        if not self.progress.bytes:
            self.progress.bytes = self._rows.write((",".join(self._job.header) + "\n").encode())

    def _begin(self, plan: Callable[[], Iterator[ImagePart]]) -> None:
        """Write the plan, then the job; nothing is left if that is not possible."""
        images = 0
        try:
            with (self._folder / _PLAN).open("w", encoding="utf-8") as lines:
                for part in plan():
                    images += part.count
                    lines.write(part.to_line() + "\n")
                lines.flush()
                os.fsync(lines.fileno())
            if not images:
                places = ", ".join(self._description["paths"])
                raise ImageError(f"found no images in {places}. Name image files, or folders that contain some.")
            begun = {"settings": self._description, "list": self._digest(), "images": images}
            write_json(self._folder / _JOB, begun)
        except BaseException:
            self._remove()
            raise

    def _check_same(self, begun: dict[str, Any]) -> None:
        wanted, settings = json.loads(json.dumps(self._description)), begun["settings"]
        changed = [
            f"{_IN_WORDS.get(key, key)} {_shown(settings.get(key))}, not {_shown(wanted[key])}"
            for key in wanted
            if settings.get(key) != wanted[key]
        ]
        if not changed and begun.get("list") != self._digest():
            changed = ["another list of paths on standard input, or one in another order"]
        if changed:
            raise SettingError(
                f"{self._output} was begun with {changed[0]}. Continue with the same, choose another --output, or "
                f"remove what was begun: {shell.join(['rm', '-r', str(self._folder)])}"
            )

    def _digest(self) -> str:
        return self._listed() if self._listed else ""

    def _record(self) -> None:
        assert self._rows is not None  # noqa: S101  # opened
        with self._as_write_error():
            self._rows.flush()
            os.fsync(self._rows.fileno())
            done = {"parts": self.progress.parts, "bytes": self.progress.bytes, "reasons": self.progress.reasons}
            write_json(self._folder / _PROGRESS, done)
        self._recorded = time.monotonic()

    def _close(self) -> None:
        if self._rows is not None:
            try:
                self._record()
            finally:
                with contextlib.suppress(OSError):  # again what the record has reported
                    self._rows.close()
                self._rows = None

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def _as_write_error(self) -> Iterator[None]:
        try:
            with as_write_error(self._output):
                yield
        except WriteError as error:
            raise WriteError(f"{error} Then run the same command again: it continues where it stopped.") from error


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _convert(rows: Path, target: Path, heading: str) -> None:
    """Convert CSV to Parquet; bytes of file names that are not UTF-8 are escaped."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    schema = pa.schema(
        {"path": text, heading: text, "confidence": pa.float64(), "accepted": pa.bool_(), "reason": text, "error": text}
    )
    with (
        rows.open(encoding="utf-8", errors="backslashreplace", newline="") as lines,
        pq.ParquetWriter(target, schema) as writer,
    ):
        table = csv.DictReader(lines)
        while batch := list(itertools.islice(table, _BATCH)):
            writer.write_table(pa.Table.from_pylist(list(map(_typed, batch)), schema))


def _typed(row: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {key: value or None for key, value in row.items()}
    confidence = float(row["confidence"]) if row["confidence"] else None
    return {**values, "confidence": confidence, "accepted": row["accepted"] == "true"}
