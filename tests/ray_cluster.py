"""A Ray of two machines, simulated on this one, for the tests marked as `ray`."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

_NICENESS = "RAY_worker_niceness"
MARKS = [
    pytest.mark.ray,
    pytest.mark.timeout(600),  # Ray starts a dozen processes
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None,
        reason="Ray is not installed: pip install -c constraints.txt -e '.[ray]'",
    ),
]


@contextmanager
def two_machines() -> Iterator[str]:
    """Start two nodes with one core each, and give their address."""
    from ray.cluster_utils import Cluster

    os.environ[_NICENESS] = "0"  # on a busy machine, nothing would be left for these tests
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    two = Cluster(initialize_head=True, head_node_args=node)
    two.add_node(**node)
    try:
        yield two.address
    finally:
        two.shutdown()


def find_workers(task: str) -> list[psutil.Process]:
    """Return the processes that run a task of this name."""
    return [each for each in psutil.Process().children(recursive=True) if f"ray::{task}" in each.name()]


def kill_worker(task: str) -> None:
    """Kill one process that runs a task of this name, as `kill -9` does."""
    find_workers(task)[0].send_signal(signal.SIGKILL)
