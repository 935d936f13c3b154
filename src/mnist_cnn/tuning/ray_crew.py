"""The workers of a search on a Ray cluster: tasks that the leader starts, replaces and ends.

A worker does the same as a process on this machine. All of them share the folder of the search, so that each can
continue the trial of another one that was killed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from mnist_cnn.cluster.cluster_head import ClusterHead
from mnist_cnn.cluster.connection import ClusterError
from mnist_cnn.cluster.shared_work import SharedFolder, attempt, explain_lost, shared
from mnist_cnn.cluster.tasks import cores_of_each_machine, count_tasks, stop_tasks, thread_settings
from mnist_cnn.tuning.bounds import Bounds, Limits
from mnist_cnn.tuning.search_folder import TuningFolder

_WORK = "mnist_cnn.tuning.worker:work_here"  # by name, because the leader does not load Keras
_REPLACEMENTS = 10  # how many dead workers are replaced
_LAST_WORDS = 120.0  # seconds after the deadline until tasks that never got a core are given up


@contextlib.contextmanager
def ray_crew(folder: TuningFolder, limits: Limits, bounds: Bounds, head: str) -> Iterator[RayCrew]:
    """Start the workers of a search on the cluster that is connected; end them with the block.

    Args:
        folder: Of the search.
        limits: How many workers there are on each machine.
        bounds: When they stop.
        head: What `connected` yields.

    Raises:
        WriteError: The folder of the search is not writable.
    """
    with shared(folder.root) as place:
        crew = RayCrew(TuningFolder(folder.root.resolve(), folder.url), bounds, limits.workers, place, head)
        try:
            yield crew
        finally:
            crew.end()


class RayCrew:
    """The workers on all machines of a cluster, also on those that join later."""

    def __init__(
        self, folder: TuningFolder, bounds: Bounds, on_each_machine: int, place: SharedFolder, head: str
    ) -> None:
        """Prepare; `is_busy` starts the workers.

        Args:
            folder: Of the search, with an absolute path.
            bounds: When they stop.
            on_each_machine: How many share the cores of the smallest machine; larger ones have more of them.
            place: The folder of the search, as each machine checks it.
            head: What `connected` yields.
        """
        import ray

        self._folder = folder
        self._bounds = bounds
        self._place = place
        self._head = ClusterHead(head, self._continues)
        self._on_each_machine = on_each_machine
        self._cores = cores_of_each_machine(on_each_machine)
        # Spread, because a machine may have cores for one more than its share.
        options = {"num_cpus": self._cores, "max_calls": 1, "max_retries": 0, "scheduling_strategy": "SPREAD"}
        self._task = ray.remote(**options)(attempt)
        self._workers: list[Any] = []  # references to their tasks
        self._replaced = 0
        self._has_work = True  # a worker returns only if no trial is left to start

    def is_busy(self) -> bool:
        """Replace workers that were killed, add some for new machines, and say whether any worker is left.

        Raises:
            ClusterError: A machine cannot work, or the cluster was lost.
            MnistCnnError: A worker gave up, or too many were killed.
        """
        import ray

        self._head.check()
        if not self._head.answers():
            return True
        try:
            if self._workers:
                ended, self._workers = ray.wait(self._workers, num_returns=len(self._workers), timeout=0)
                for worker in ended:
                    self._note_end(worker)
            wanted = count_tasks(self._cores, self._on_each_machine)
            missing = min(wanted, self._bounds.trials) - len(self._workers)
            for _ in range(int(missing) if self._has_work else 0):
                self._start()
        except (ray.exceptions.RayError, ConnectionError) as error:  # the latter by ray://
            raise explain_lost(error, "tune", self._continues) from error
        return bool(self._workers) and time.time() < self._bounds.deadline + _LAST_WORDS

    def end(self) -> None:
        """Let every worker save its work and end; kill those that take too long."""
        if self._head.answers():
            stop_tasks(self._workers)

    @property
    def _continues(self) -> str:
        return f"All results so far are kept. Continue with: {self._folder.resume_command}"

    def _start(self) -> None:
        settings = thread_settings(self._cores)
        worker = self._task.remote(self._place, settings, "tune", _WORK, self._folder, self._bounds)
        self._workers.append(worker)

    def _note_end(self, worker: Any) -> None:
        import ray

        try:
            ray.get(worker).get()
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError, ray.exceptions.NodeDiedError):
            self._replaced += 1
            if self._replaced > _REPLACEMENTS:
                raise ClusterError(
                    f"{self._replaced} workers were killed. Check that the machines have enough memory. "
                    f"{self._continues}"
                ) from None
            self._start()
        else:
            self._has_work = False
