"""A worker: takes one trial of a study after another until there is nothing left to do.

On this machine it is a process: `python -m mnist_cnn.tuning.worker FOLDER`, with the rest in the environment. On a Ray
cluster it is a task that calls `work_here`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import optuna
from optuna.study import Study

from mnist_cnn.datasets import Dataset
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.models.architectures import find_architecture
from mnist_cnn.tuning.bounds import Bounds, read_environment
from mnist_cnn.tuning.declaration import corner_configs
from mnist_cnn.tuning.handover import hand_back_abandoned
from mnist_cnn.tuning.objective import Objective
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.storage import claim_study, explain_loss
from mnist_cnn.tuning.study import open_plan, open_study


def work(folder: TuningFolder, dataset: Dataset, bounds: Bounds) -> None:
    """Take trials until the bounds are reached. Ctrl-C pauses: the current trial can be resumed.

    Args:
        folder: Of the search.
        dataset: The training split.
        bounds: When to stop.

    Raises:
        InputError: These are not the data of the search, or the space names an argument that its architecture does
            not take.
        MnistCnnError: All trials fail, or the database is lost.
    """
    plan, study = open_plan(folder), open_study(folder)
    plan.check_data(dataset)
    for config in corner_configs(plan.space, plan.base):
        find_architecture(config.model.architecture, config.model.arguments)
    claim = contextlib.ExitStack()
    objective = Objective(plan, dataset, folder, claim.close, bounds.in_time)
    with explain_loss(folder), contextlib.suppress(KeyboardInterrupt):
        while not objective.stopped:
            with claim:
                # Held until the trial has started, so that no other worker sees a trial half started.
                claim.enter_context(claim_study(folder, plan.name))
                hand_back_abandoned(study, folder)
                if not bounds.want_another(study):
                    return
                _run_trial(study, objective)


def work_here(folder: TuningFolder, bounds: Bounds) -> None:
    """Take trials as `work` does, with the data where this machine has them."""
    work(folder, folder.find_data().load("train"), bounds)


def _run_trial(study: Study, objective: Objective) -> None:
    try:
        study.optimize(objective, n_trials=1, catch=(Exception,))
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        # Raised by Optuna, since the objective's own errors are caught: the trial is over. While this worker was cut
        # off from the server it seemed dead, and another worker resumed its trial.
        pass
    finally:
        objective.let_go()


def main(root: str) -> None:
    """Work as the environment says, and exit with the code of any error."""
    bounds, url = read_environment(os.environ)
    folder = TuningFolder(Path(root), url)
    try:
        work_here(folder, bounds)
    except MnistCnnError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1])
