"""Parts read by a Ray cluster, or by a local Ray."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mnist_cnn.bulk.part_reading import PartRows, read_part
from mnist_cnn.bulk.parts import name_of
from mnist_cnn.cluster.cluster_head import ClusterHead
from mnist_cnn.cluster.connection import ClusterError, last_line, missing_package
from mnist_cnn.cluster.tasks import RETRIES
from mnist_cnn.errors import first_line

if TYPE_CHECKING:
    from mnist_cnn.bulk.job import Job
    from mnist_cnn.bulk.parts import ImagePart

_SECONDS = 5.0  # between two looks at the size of the cluster
_AHEAD = 4  # parts per core that are queued, in progress, or waiting for an earlier one
_CONTINUES = "The same command continues where it stopped."


def read_on_cluster(job: Job, parts: Iterable[ImagePart], head: str = "") -> Iterator[PartRows]:
    """Read parts on the cluster that is connected, on all of its cores, also on those that join later.

    Args:
        job: What to read and how.
        parts: The images.
        head: What `connected` yields.

    Yields:
        The rows of each part, in order.

    Raises:
        ClusterError: A worker cannot read, or is killed repeatedly; or the cluster was lost.
    """
    import ray

    try:
        yield from _read_ahead(job, parts, ClusterHead(head, _CONTINUES))
    except (ray.exceptions.RayError, ConnectionError) as error:  # the latter by ray://
        raise ClusterError(f"the cluster was lost ({first_line(error)}). {_CONTINUES}") from error


def _read_ahead(job: Job, parts: Iterable[ImagePart], head: ClusterHead) -> Iterator[PartRows]:
    import ray

    task = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=[OSError])(read_part)
    shared = ray.put(job.for_other_machines())
    waiting: deque[tuple[ImagePart, Any]] = deque()
    size = _ClusterSize(head)
    for part in parts:
        waiting.append((part, task.remote(shared, part)))
        while len(waiting) >= _AHEAD * size.cores:
            yield _result(*waiting.popleft(), head)
    while waiting:
        yield _result(*waiting.popleft(), head)


class _ClusterSize:
    """The number of cores, looked up again from time to time."""

    def __init__(self, head: ClusterHead) -> None:
        self._head = head
        self._cores, self._looked_up = 1, 0.0

    @property
    def cores(self) -> int:
        """Number of cores of all machines, at least 1; the last known one while the head does not answer."""
        import ray

        if (not self._looked_up or time.monotonic() - self._looked_up > _SECONDS) and self._head.answers():
            self._cores, self._looked_up = int(ray.cluster_resources().get("CPU", 1)), time.monotonic()
        return max(1, self._cores)


def _result(part: ImagePart, reference: Any, head: ClusterHead) -> PartRows:
    import ray

    try:
        while not ray.wait([reference], timeout=_SECONDS)[0]:
            head.check()
        rows: PartRows = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise ClusterError(_why_not_read(part, error)) from error
    if rows.is_missing and any(map(os.path.exists, part.files)):
        raise ClusterError(
            f"{part.files[0]} exists here, but not on {rows.host}, a machine of the cluster. Put the images into a "
            "folder that all machines share under the same path, or into an object store."
        )
    if rows.problem:
        problem = ClusterError(f"{rows.host}, a machine of the cluster, cannot read: {rows.problem}")
        problem.exit_code = rows.exit_code
        raise problem
    return rows


def _why_not_read(part: ImagePart, error: Exception) -> str:
    import ray

    if missing := missing_package(error, "ray"):
        return missing
    if isinstance(error, (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError)):
        return (
            f"the worker that read {name_of(part)} was killed {RETRIES + 1} times, probably for lack of memory. Give "
            f"the machines more memory, or leave these images out. {_CONTINUES}"
        )
    return f"{name_of(part)} could not be read on the cluster: {last_line(error)}. {_CONTINUES}"
