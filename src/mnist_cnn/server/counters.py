"""What the server counts, for Prometheus. Label values come from short lists of our own, never from a request.

With several workers each process writes its counts to files in a folder, and any of them adds them up when asked.
prometheus_client decides at its import whether it does so, by the folder's name in the environment.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from mnist_cnn.reading.recognizer import Reading

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

Cause = Literal["overload", "pending", "key", "body_size", "held", "slow_body", "timeout"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time stamp beside every counter: twice the text, read by nobody

_requests = Counter("mnist_cnn_requests", "Requests answered; 499: the client left.", ["route", "method", "status"])
_latency = Histogram(
    "mnist_cnn_request_seconds", "From a request's head to the first byte of its answer.", ["route"], buckets=_SECONDS
)
_in_work = Gauge("mnist_cnn_requests_in_work", "Requests not answered yet.", multiprocess_mode="livesum")
_images = Counter("mnist_cnn_images", "Images read: accepted, or why not.", ["outcome"])
_batches = Histogram("mnist_cnn_batch_images", "Images that went through the network together.", buckets=_BATCHES)
_refusals = Counter("mnist_cnn_refusals", "Requests refused before a route could answer, by cause.", ["cause"])


def begin_request() -> None:
    """Count a request that is in work now."""
    _in_work.inc()


def end_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count a request's end.

    Args:
        route: The template of the route that answered, never the path itself.
        method: From `name_method`.
        status: Of the answer.
        seconds: Until the answer's first byte.
    """
    _in_work.dec()
    count, latency = _of_route(route, method, status)
    count.inc()
    latency.observe(seconds)


def name_method(method: str) -> str:
    """Give a request's method, or "other" for what is no common one: some servers take any word for one."""
    return method if method in _METHODS else "other"


def count_readings(readings: Iterable[Reading]) -> None:
    """Count images by what became of them."""
    for reading in readings:
        _of_outcome(reading.reason or "accepted").inc()


def observe_batch(images: int) -> None:
    """Count one pass through the network."""
    _batches.observe(images)


def count_refusal(cause: Cause) -> None:
    """Count a request that was refused."""
    _refusals.labels(cause).inc()


def render() -> bytes:
    """Write all counts in Prometheus' text form; where several workers share a folder, the sum of all."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return generate_latest(REGISTRY)
    _forget_dead(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


@contextlib.contextmanager
def shared_folder() -> Iterator[None]:
    """Keep a folder for the counts of several workers; start them within, so that they find it in their environment.

    A folder that the environment names already is left to whoever made it.
    """
    if os.environ.get(FOLDER_VARIABLE):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="mnist-cnn-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]


@functools.cache  # `labels` takes a lock and makes strings; there are few routes
def _of_route(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _requests.labels(route, method, str(status)), _latency.labels(route)


@functools.cache
def _of_outcome(outcome: str) -> Counter:
    return _images.labels(outcome)


def _forget_dead(folder: Path) -> None:
    """Take away what ended workers had in work: a killed one cannot do so itself. Their counters stay."""
    for path in folder.glob("gauge_live*_*.db"):
        if not psutil.pid_exists(int(path.stem.rpartition("_")[2])):
            path.unlink(missing_ok=True)
