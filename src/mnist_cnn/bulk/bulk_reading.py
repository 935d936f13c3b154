"""Read many images into a table, here or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mnist_cnn.bulk.image_tables import TABLE, check_columns, check_installed
from mnist_cnn.bulk.job import Job
from mnist_cnn.bulk.local_reading import read_parts
from mnist_cnn.bulk.part_reading import PartRows
from mnist_cnn.bulk.parts import ImagePart, cut_into_parts
from mnist_cnn.bulk.unfinished import TableProgress, UnfinishedTable


def read_in_bulk(
    job: Job,
    names: Iterable[str],
    output: Path,
    *,
    paths: Iterable[str],
    listed: Callable[[], str] | None = None,
    threads: int = 1,
    ray: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, images: None,
) -> TableProgress:
    """Read images into a table with one row for each, in their order. An interrupted run continues where it stopped.

    Args:
        job: What to read and how.
        names: Paths and addresses of image files and Parquet files, looked at only when the table is begun.
        output: The table; its suffix decides between CSV and Parquet.
        paths: What the user named, by which an interrupted run is recognised.
        listed: Returns a digest of the list of paths that they gave besides; None without a list. Called when `names`
            were consumed, or instead of that.
        threads: Number of threads, or of processes if there are many images; not with `ray`.
        ray: Address of a cluster, from `check_address`; None to read on this machine.
        on_progress: Called with the number of rows that are complete, and that of all images.

    Returns:
        How many images the table contains, and for which reasons they were rejected.

    Raises:
        MissingExtraError: Ray, or PyArrow for Parquet, is not installed.
        SettingError: The table exists or was begun with other settings.
        DataError: No image was found, or a Parquet file or an object store cannot be read.
        ClusterError: The cluster cannot be used.
        WriteError: The disk is full.
    """
    if output.suffix == TABLE:
        check_installed()
    table = UnfinishedTable(output, job, paths, listed)
    with table.opened(lambda: _checked(cut_into_parts(names), job)):
        on_progress(table.progress.images, table.images)
        if table.progress.images < table.images:
            for rows in _read_all(job, table, threads, ray):
                table.add(rows)
                on_progress(table.progress.images, table.images)
        table.finish()
    return table.progress


def _read_all(job: Job, table: UnfinishedTable, workers: int, ray: str | None) -> Iterator[PartRows]:
    if ray is None:
        yield from read_parts(job, table.parts(), workers)
        return
    from mnist_cnn.bulk.cluster import read_on_cluster
    from mnist_cnn.cluster.connection import connected

    with connected(ray) as head:
        yield from read_on_cluster(job, table.parts(), head)


def _checked(parts: Iterator[ImagePart], job: Job) -> Iterator[ImagePart]:
    """Yield parts; refuse Parquet files without the columns before anything is read."""
    checked: tuple[str, str] = "", ""
    for part in parts:
        file = part.files[0], part.store
        if part.rows and file != checked:
            check_columns(*file, job.columns)
            checked = file
        yield part
