"""A worker: takes trials of a study, one after the other, until there is no more to do.

Run as a process by `search`: `python -m mnist_cnn.tuning.worker FOLDER`, with the rest in the environment.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import optuna
from optuna.study import Study

from mnist_cnn.datasets import Dataset, ResolvedDataset
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.models.architectures import find_architecture
from mnist_cnn.tuning.bounds import Bounds, read_environment
from mnist_cnn.tuning.declaration import corner_configs
from mnist_cnn.tuning.handover import hand_back_abandoned
from mnist_cnn.tuning.objective import Objective
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.storage import claim_study, explain_loss
from mnist_cnn.tuning.study import open_plan, open_study


def work(folder: TuningFolder, dataset: Dataset, bounds: Bounds, url: str = "") -> None:
    """Take trials until the bounds are reached; Ctrl-C ends it, and the trial in hand can be taken up again.

    Args:
        folder: Of the search.
        dataset: The training split.
        bounds: When it is enough.
        url: Of the database server; empty for what the search remembers.

    Raises:
        InputError: These are not the data that the search was begun with, or the space names an argument that its
            architecture does not take.
        MnistCnnError: All trials fail, or the database is lost.
    """
    plan, study = open_plan(folder), open_study(folder, url)
    plan.check_data(dataset)
    for config in corner_configs(plan.space, plan.base):
        find_architecture(config.model.architecture, config.model.arguments)
    claim = contextlib.ExitStack()
    objective = Objective(plan, dataset, folder, begun=claim.close, may_go_on=bounds.in_time)
    with explain_loss(folder, url), contextlib.suppress(KeyboardInterrupt):
        while not objective.stopped:
            with claim:
                # Held until the trial has begun: whoever counts or looks for dead workers sees every trial whole.
                claim.enter_context(claim_study(folder, url or folder.storage, plan.name))
                hand_back_abandoned(study, folder)
                if not bounds.want_another(study):
                    return
                _run_trial(study, objective)


def _run_trial(study: Study, objective: Objective) -> None:
    try:
        study.optimize(objective, n_trials=1, catch=(Exception,))
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        # Optuna's own (the objective's are caught): the trial is over. Cut off from the server, this worker seemed
        # dead, and another one has taken the trial up.
        pass
    finally:
        objective.let_go()


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
