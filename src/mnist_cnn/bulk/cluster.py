"""A Ray cluster, or a local Ray, that reads parts."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mnist_cnn.bulk.part_reading import PartRows, read_part
from mnist_cnn.bulk.parts import name_of
from mnist_cnn.environment.installation import PACKAGE
from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import MnistCnnError, SettingError, first_line, requires_extra

if TYPE_CHECKING:
    from mnist_cnn.bulk.job import Job
    from mnist_cnn.bulk.parts import ImagePart

LOCAL = "local"
_VARIABLE = "RAY_ADDRESS"  # with which Ray tells the programs that it starts where their cluster is
_VALID = "Valid: local, auto, ray://HOST:10001, HOST:6379."
_HOST = re.compile(r"(ray://)?[^\s/:]+:(?P<port>[0-9]{1,9})")
_PORTS = 2**16
_STORE = 128 * 2**20  # bytes of a local Ray's object store; images do not pass through it
_SECONDS = 5.0  # to wait for an address, and between two looks at the size of the cluster
_AHEAD = 4  # parts per core that are queued, in progress, or waiting for an earlier one
_CONTINUES = "The same command continues where it stopped."
_RETRIES = 3  # of a part whose worker was killed, or whose object store did not answer


class ClusterError(MnistCnnError):
    """A Ray cluster that cannot be reached, was lost, or whose machines cannot read."""


def check_address(address: str) -> str:
    """Return the address of a cluster; the empty one stands for that of the environment, or a local Ray.

    Raises:
        SettingError: It is not an address.
    """
    chosen = address or os.environ.get(_VARIABLE) or LOCAL
    host = _HOST.fullmatch(chosen)
    if host and not 0 < int(host["port"]) < _PORTS:
        raise SettingError(
            f"{_origin(address)}{chosen} does not end with a valid port. Valid: 1 to {_PORTS - 1}, usually 6379."
        )
    if host or chosen in (LOCAL, "auto"):
        return chosen
    raise SettingError(
        f"{_origin(address)}{chosen} is not the address of a Ray cluster. {_VALID} To start Ray on this machine before "
        f"paths, write --ray={LOCAL}"
    )


def _origin(address: str) -> str:
    return "--ray " if address else f"the environment variable {_VARIABLE}="


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a cluster, or start a local Ray that ends with the block.

    Args:
        address: From `check_address`.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: No cluster answers at the address, or its version of Ray or Python differs.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with requires_extra("ray"):
        import ray
    _check_reachable(address)
    own: dict[str, Any] = {"num_cpus": usable_cores(), "object_store_memory": _STORE, "include_dashboard": False}
    try:
        ray.init(address, log_to_driver=False, logging_level="CRITICAL", **(own if address == LOCAL else {}))
    except Exception as error:  # of many classes
        raise ClusterError(_why_not_connected(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def read_on_cluster(job: Job, parts: Iterable[ImagePart]) -> Iterator[PartRows]:
    """Read parts on the cluster that is connected, on all of its cores, also on those that join later.

    Yields:
        The rows of each part, in order.

    Raises:
        ClusterError: A worker cannot read, or is killed repeatedly; or the cluster was lost.
    """
    import ray

    try:
        yield from _read_ahead(job, parts)
    except (ray.exceptions.RayError, ConnectionError) as error:  # the latter by ray://
        raise ClusterError(f"the cluster was lost ({first_line(error)}). {_CONTINUES}") from error


def _read_ahead(job: Job, parts: Iterable[ImagePart]) -> Iterator[PartRows]:
    import ray

    task = ray.remote(num_cpus=1, max_retries=_RETRIES, retry_exceptions=[OSError])(read_part)
    shared = ray.put(job)
    waiting: deque[tuple[ImagePart, Any]] = deque()
    size = _ClusterSize()
    for part in parts:
        waiting.append((part, task.remote(shared, part)))
        while len(waiting) >= _AHEAD * size.cores:
            yield _result(*waiting.popleft())
    while waiting:
        yield _result(*waiting.popleft())


class _ClusterSize:
    """The number of cores, looked up again from time to time."""

    def __init__(self) -> None:
        self._cores, self._looked_up = 1, 0.0

    @property
    def cores(self) -> int:
        import ray

        if not self._looked_up or time.monotonic() - self._looked_up > _SECONDS:
            self._cores, self._looked_up = int(ray.cluster_resources().get("CPU", 1)), time.monotonic()
        return max(1, self._cores)


def _result(part: ImagePart, reference: Any) -> PartRows:
    import ray

    try:
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

    cause = getattr(error, "cause", None)
    if isinstance(cause, ModuleNotFoundError) or "No module named" in str(error):
        missing = re.search(r"No module named '([\w.]+)'", str(error))
        package = missing[1].partition(".")[0].replace("_", "-") if missing else PACKAGE
        return f"a machine of the cluster lacks {package}. Install {PACKAGE} with its extra ray on all of its machines."
    if isinstance(error, (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError)):
        return (
            f"the worker that read {name_of(part)} was killed {_RETRIES + 1} times, probably for lack of memory. Give "
            f"the machines more memory, or leave these images out. {_CONTINUES}"
        )
    return f"{name_of(part)} could not be read on the cluster: {_last_line(error)}. {_CONTINUES}"


def _last_line(error: Exception) -> str:
    """Return the last line of an error that contains a traceback."""
    lines = str(error).strip().splitlines()
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _check_reachable(address: str) -> None:
    """Raise at once what Ray would find out in minutes."""
    if not _HOST.fullmatch(address):
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), _SECONDS).close()
    except OSError as error:
        raise ClusterError(f"no Ray cluster answers at {address} ({error.strerror or error}). {_START}") from None


_START = f"Check the address, or start Ray on this machine: --ray={LOCAL}"


def _why_not_connected(address: str, error: Exception) -> str:
    versions = re.findall(r"(?:Ray|Python): (\S+)", str(error))
    if len(versions) == 4:
        return (
            f"the cluster at {address} runs Ray {versions[0]} and Python {versions[1]}; here are Ray {versions[2]} and "
            f"Python {versions[3]}. Install the same versions."
        )
    if isinstance(error, ConnectionError):
        return f"no Ray cluster answers at {address} ({first_line(error)}). {_START}"
    return f"Ray cannot use the cluster at {address}: {first_line(error)}. {_START}"
