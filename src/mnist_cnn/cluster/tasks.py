"""The tasks of a cluster: how many cores each gets, how its libraries are told, and how it is stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

LAST_WORDS = 120.0  # seconds that work gets to save its state after Ctrl-C
RETRIES = 3  # of work whose process was killed, before it is given up


def cores_of_each_machine(tasks: int = 1) -> int:
    """Return the cores for each of several tasks that share a machine, so that also the smallest machine has room.

    Args:
        tasks: On one machine at the same time, at least 1.
    """
    return max(1, min(_cores(), default=1) // tasks)


def count_tasks(cores: int, tasks: int = 1) -> int:
    """Return how many tasks all machines that are there now get; at least 1.

    Args:
        cores: Of each task, from `cores_of_each_machine`.
        tasks: On the smallest machine at the same time, at least 1. Larger ones get more, in proportion.
    """
    machines = _cores()
    return max(1, sum(min(each // cores, each * tasks // min(machines)) for each in machines))


def thread_settings(cores: int) -> dict[str, str]:
    """Return the environment variables with which training uses this many threads."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(cores))
    return {"TF_CPP_MIN_LOG_LEVEL": "3", **threads}


def stop_tasks(references: Sequence[Any]) -> None:
    """Let tasks save their work, as Ctrl-C does, and end; those that take too long are killed."""
    import ray

    with contextlib.suppress(ray.exceptions.RayError, ConnectionError):  # of a cluster that is gone
        for force in (False, True):
            for reference in references:
                ray.cancel(reference, force=force)
            _, references = ray.wait(list(references), num_returns=len(references), timeout=LAST_WORDS)
            if not references:
                return


def _cores() -> list[int]:
    """Return the cores of each machine that gives any to tasks."""
    import ray

    machines = (node["Resources"] for node in ray.nodes() if node["Alive"])
    return [int(resources["CPU"]) for resources in machines if resources.get("CPU", 0) >= 1]
