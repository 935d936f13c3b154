"""Independent trainings, each in its own run folder: one after another here, or as tasks of a Ray cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mnist_cnn.cluster.cluster_head import ClusterHead
from mnist_cnn.cluster.connection import ClusterError, connected
from mnist_cnn.cluster.shared_work import SharedFolder, attempt, explain_lost, outcome_of, shared
from mnist_cnn.cluster.tasks import LAST_WORDS, RETRIES, cores_of_each_machine, stop_tasks, thread_settings
from mnist_cnn.config import Config
from mnist_cnn.datasets import ResolvedDataset
from mnist_cnn.errors import MnistCnnError, requires_extra
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.continuation import check_settings

_WORK = "mnist_cnn.series.training_jobs:train_job"
_SPAWN = multiprocessing.get_context("spawn")
_INTERRUPTED = 130  # exit code: 128 + SIGINT
_SECONDS = 1.0  # between two looks at the tasks
_CONTINUES = "Finished epochs are kept; the same command continues."


@dataclass(frozen=True)
class TrainingJob:
    """One complete training."""

    run: Path  #: the folder of the run; an unfinished one continues after its last epoch, a finished one stays
    config: Config  #: all settings, also the seed
    data: ResolvedDataset  #: where each machine finds the images


Record = dict[str, Any]
OnEnd = Callable[[TrainingJob, Record], None]


def train_each(
    jobs: Sequence[TrainingJob], ray: str | None = None, *, on_end: OnEnd = lambda job, record: None
) -> list[Record]:
    """Train all networks, evaluate each once on the test set, and write their reports.

    A job that was interrupted or killed continues after its last finished epoch when it is trained again; one that is
    complete is not repeated. A job whose process is killed is continued by another process.

    Args:
        jobs: Each with a folder of its own.
        ray: From `check_address`: the cluster on which they run, each with as many cores as its smallest machine
            has. Their folders must be in a folder that all its machines share. None to train them here, one
            after another.
        on_end: Receives each job that is complete, and its record, as soon as it is known.

    Returns:
        For each job what its `metrics.json` says, in order.

    Raises:
        RunFolderError: A folder contains a run with other settings.
        MnistCnnError: A training failed; the message names its run.
        ClusterError: The cluster cannot be used.
        KeyboardInterrupt: Ctrl-C; finished epochs are kept.
    """
    jobs = [_complete_paths(job) for job in jobs]
    for job in jobs:
        check_settings(job.config, RunFolder(job.run))
    missing = [job for job in jobs if not is_complete(RunFolder(job.run))]
    for job in jobs:
        if job not in missing:
            on_end(job, read_record(RunFolder(job.run)))
    with contextlib.closing(_train_here(missing) if ray is None else _train_there(missing, ray)) as ended:
        for job in ended:
            on_end(job, read_record(RunFolder(job.run)))
    return [read_record(RunFolder(job.run)) for job in jobs]


def is_complete(run: RunFolder) -> bool:
    """Return whether a run is trained, evaluated and reported."""
    return run.finished and run.report.exists()


def read_record(run: RunFolder) -> Record:
    """Return what a complete run measured, as its `metrics.json` says."""
    record: Record = run.read_json(run.metrics)
    return record


def train_job(job: TrainingJob, checksum: str = "") -> None:
    """Do one job in this process.

    Args:
        job: What to train.
        checksum: SHA-256 that the training images must have; empty for any.

    Raises:
        MnistCnnError: As `complete_run`; the message names the run.
        KeyboardInterrupt: Ctrl-C; finished epochs are kept.
    """
    began = time.perf_counter()
    with requires_extra("train"):
        from mnist_cnn.models.quiet import start_keras

        start_keras()
        from mnist_cnn.series.complete_run import complete_run
    try:
        complete_run(job.config, job.data, RunFolder(job.run), began, checksum)
    except MnistCnnError as error:
        named = MnistCnnError(f"{job.run.name} could not be trained: {error}")
        named.exit_code = error.exit_code
        raise named from error


def _complete_paths(job: TrainingJob) -> TrainingJob:
    """Return a job that means the same in another folder."""
    data = job.data
    if data.data_dir:
        data = dataclasses.replace(data, data_dir=data.data_dir.resolve())
    return dataclasses.replace(job, run=job.run.resolve(), data=data)


def _train_here(jobs: Sequence[TrainingJob]) -> Generator[TrainingJob, None, None]:
    """Train each job in a process of its own, so that none inherits the memory or the settings of another."""
    for job in jobs:
        _in_own_process(job)
        yield job


def _in_own_process(job: TrainingJob) -> None:
    for _ in range(RETRIES + 1):
        receiver, sender = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=_train_and_send, args=(sender, job))
        process.start()
        sender.close()  # so that the end of the process is the end of the pipe
        try:
            receiver.recv().get()
        except EOFError:
            process.join()
            if process.exitcode == _INTERRUPTED:
                raise KeyboardInterrupt from None
            if process.exitcode and process.exitcode > 0:
                raise MnistCnnError(f"{job.run.name} could not be trained: see the error above.") from None
        except KeyboardInterrupt:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid or 0, signal.SIGINT)
            raise
        else:
            return
        finally:
            try:
                process.join(LAST_WORDS)
            finally:  # also after another Ctrl-C
                process.kill()
    raise MnistCnnError(
        f"the process that trained {job.run.name} was killed {RETRIES + 1} times, probably for lack of memory. "
        f"{_CONTINUES}"
    )


def _train_and_send(sender: Connection, job: TrainingJob) -> None:
    """Do a job in a process that a signal reaches only through its parent, and that ends with its parent."""
    if hasattr(os, "setsid"):  # not on Windows
        os.setsid()
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    try:
        sender.send(outcome_of(train_job, job))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _stop_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        signal.raise_signal(signal.SIGINT)


def _train_there(jobs: Sequence[TrainingJob], address: str) -> Generator[TrainingJob, None, None]:
    if not jobs:
        return
    root = Path(os.path.commonpath([job.run.parent for job in jobs]))
    root.mkdir(parents=True, exist_ok=True)
    with connected(address) as head, shared(root) as folder:
        yield from _tasks(jobs, folder, ClusterHead(head, _CONTINUES))


def _tasks(jobs: Sequence[TrainingJob], folder: SharedFolder, head: ClusterHead) -> Generator[TrainingJob, None, None]:
    """Run the jobs as tasks; yield each that ends."""
    import ray

    cores = cores_of_each_machine()
    task = ray.remote(num_cpus=cores, max_calls=1, max_retries=RETRIES)(attempt)
    checksums = {data: data.load("train").checksum() for data in {job.data for job in jobs}}
    settings = thread_settings(cores)
    waiting = {task.remote(folder, settings, "train", _WORK, job, checksums[job.data]): job for job in jobs}
    try:
        while waiting:
            ended, _ = ray.wait(list(waiting), timeout=_SECONDS)
            for reference in ended:
                ray.get(reference).get()
                yield waiting.pop(reference)
            head.check()
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        raise ClusterError(
            f"the process of a training was killed {RETRIES + 1} times, probably for lack of memory. {_CONTINUES}"
        ) from error
    except (ray.exceptions.RayError, ConnectionError) as error:  # the latter by ray://
        raise explain_lost(error, "train", _CONTINUES) from error
    finally:
        if head.answers():
            stop_tasks(list(waiting))
