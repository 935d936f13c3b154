"""What the server counts, for Prometheus. Label values come from short lists of our own, never from a request.

With several workers, each process writes its counts to files in the folder that `COUNTS_FOLDER` names, and any of them
adds them up.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from mnist_cnn.server.settings import COUNTS_FOLDER

if TYPE_CHECKING:
    from mnist_cnn.reading.numbers import NumberReading
    from mnist_cnn.reading.recognizer import Reading

Cause = Literal["overload", "pending", "key", "body_size", "held", "slow_body", "timeout"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_requests = Counter("mnist_cnn_requests", "Requests answered; 499: the client left.", ["route", "method", "status"])
_latency = Histogram("mnist_cnn_request_seconds", "Time to the first byte of the answer.", ["route"], buckets=_SECONDS)
_in_progress = Gauge("mnist_cnn_requests_in_work", "Requests in progress.", multiprocess_mode="livesum")
_images = Counter("mnist_cnn_images", "Images of digits read: accepted, or the reason for rejection.", ["outcome"])
_numbers = Counter("mnist_cnn_numbers", "Numbers read: accepted, or the reason for rejection.", ["outcome"])
_batches = Histogram("mnist_cnn_batch_images", "Images in one pass through the network.", buckets=_BATCHES)
_refusals = Counter("mnist_cnn_refusals", "Requests refused before a route could answer, by cause.", ["cause"])


def begin_request() -> None:
    """Count a request as being in progress."""
    _in_progress.inc()


def end_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count the end of a request.

    Args:
        route: Template of the route that answered, never the path itself.
        method: As `name_method` returns it.
        status: HTTP status of the answer.
        seconds: Time to the first byte of the answer.
    """
    _in_progress.dec()
    count, latency = _of_route(route, method, status)
    count.inc()
    latency.observe(seconds)


def name_method(method: str) -> str:
    """Return a request's method, or "other": clients may invent methods."""
    return method if method in _METHODS else "other"


def count_readings(readings: Iterable[Reading]) -> None:
    """Count one batch of images by their outcome."""
    outcomes = [_outcome(reading) for reading in readings]
    _batches.observe(len(outcomes))
    for outcome in outcomes:
        _of_outcome(outcome).inc()


def count_numbers(readings: Iterable[NumberReading]) -> None:
    """Count the numbers of one request by their outcome."""
    for reading in readings:
        _numbers.labels(_outcome(reading)).inc()


def count_refusal(cause: Cause) -> None:
    """Count a refused request."""
    _refusals.labels(cause).inc()


def render() -> bytes:
    """Write all counts in the text format of Prometheus, summed over workers that share a folder."""
    folder = os.environ.get(COUNTS_FOLDER)
    if not folder:
        return generate_latest(REGISTRY)
    _forget_dead(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


@functools.cache  # `labels` takes a lock and creates strings; there are few routes
def _of_route(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _requests.labels(route, method, str(status)), _latency.labels(route)


def _outcome(reading: Reading | NumberReading) -> str:
    return reading.reason or "accepted"


@functools.cache
def _of_outcome(outcome: str) -> Counter:
    return _images.labels(outcome)


def _forget_dead(folder: Path) -> None:
    """Remove the requests in progress of dead workers, which cannot do so themselves. Their counters stay."""
    for path in folder.glob("gauge_live*_*.db"):
        if not psutil.pid_exists(int(path.stem.rpartition("_")[2])):
            path.unlink(missing_ok=True)
