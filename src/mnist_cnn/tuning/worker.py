"""A worker: takes trials of a study, one after the other, until there is no more to do.

Run as a process by `search`: `python -m mnist_cnn.tuning.worker FOLDER`, with the rest in the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.study import Study

from mnist_cnn.datasets import Dataset, ResolvedDataset
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.tuning.bounds import Bounds, read_environment
from mnist_cnn.tuning.folder import TuningFolder
from mnist_cnn.tuning.objective import Objective
from mnist_cnn.tuning.storage import explain_loss, hand_back, hand_back_abandoned
from mnist_cnn.tuning.study import open_plan, open_study


def work(folder: TuningFolder, dataset: Dataset, bounds: Bounds, url: str = "") -> None:
    """Take trials until the bounds are reached; Ctrl-C ends it with the trial in hand queued again.

    Args:
        folder: Of the search.
        dataset: The training split.
        bounds: When it is enough.
        url: Of the database server; empty for what the search remembers.

    Raises:
        InputError: These are not the data that the search was begun with.
        MnistCnnError: All trials fail, or the database is lost.
    """
    plan, study = open_plan(folder), open_study(folder, url)
    plan.check_data(dataset)
    claim = FileLock(folder.claim)
    objective = Objective(plan, dataset, folder, begun=claim.release, may_go_on=bounds.in_time)
    with explain_loss(folder, url):
        while _take_one(study, folder, objective, bounds, claim):
            pass


def _take_one(study: Study, folder: TuningFolder, objective: Objective, bounds: Bounds, claim: FileLock) -> bool:
    """Run one trial; False where there is none to run or training was told to end."""
    asked: list[int] = []
    # Held until the trial's folder is locked: whoever counts or looks for dead workers sees every trial whole.
    claim.acquire()
    try:
        hand_back_abandoned(study, folder)
        if not bounds.want_another(study):
            return False
        study.optimize(_noting(objective, asked), n_trials=1, catch=(Exception,))
    except KeyboardInterrupt:
        for number in asked:
            hand_back(study, number)
        return False
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        # Optuna's own (the objective's are caught): the trial is over. Cut off from the server, this worker seemed
        # dead, and another one has taken the trial up.
        pass
    finally:
        claim.release()
    return True


def _noting(objective: Objective, asked: list[int]) -> Callable[[optuna.Trial], tuple[float, ...]]:
    def run(trial: optuna.Trial) -> tuple[float, ...]:
        asked.append(trial.number)
        return objective(trial)

    return run


def main(root: str) -> None:
    """Work as the environment says, and leave the process with the exit code of what went wrong."""
    folder, (bounds, url) = TuningFolder(Path(root)), read_environment(os.environ)
    try:
        local = folder.read_plan()
        data = ResolvedDataset(local["dataset"], Path(local["data_dir"]) if local["data_dir"] else None)
        work(folder, data.load("train"), bounds, url)
    except MnistCnnError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1])
