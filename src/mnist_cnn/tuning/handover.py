"""How another worker takes over a trial whose worker paused or died: it resumes from the last finished epoch.

Optuna retries only trials whose heartbeat stopped. Here pauses, workers that died before their first heartbeat, and
workers on this machine (whose locks show at once that they are dead) are covered too.
"""

from __future__ import annotations

import contextlib

import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mnist_cnn.tuning.search_folder import TuningFolder, is_at_work
from mnist_cnn.tuning.storage import without_warnings

RETRIES = 3  # a trial that has killed more workers than this is given up

# Attributes of a trial: where its run folder is, why it ended, how many workers died training it, its accuracy curve.
PLACE, FOLDER, REASON, DEATHS, ACCURACIES = "place", "folder", "reason", "deaths", "accuracies"
BEGUN, PAUSED = "begun", "paused"  # of one attempt only: a trial that is queued again loses them


def hand_back_abandoned(study: Study, folder: TuningFolder) -> None:
    """Queue every abandoned trial again.

    The study gets a new trial that refers to the old one, which counts as failed. The caller must hold the claim. If
    the caller dies here, the next caller completes the work.
    """
    with without_warnings():
        optuna.storages.fail_stale_trials(study)  # of workers on other machines, which sent no heartbeat
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_dead(folder, trial):
            with contextlib.suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):  # it has just ended
                study.tell(trial.number, state=TrialState.FAIL)
    trials = study.get_trials()
    gone = superseded(trials)
    for trial in trials:
        if is_unfinished(trial) and trial.number not in gone:
            _queue_again(study, trial)


def is_unfinished(trial: FrozenTrial) -> bool:
    """Whether a trial failed only because its worker paused or died, and may be resumed."""
    return trial.state == TrialState.FAIL and REASON not in trial.user_attrs and _count_deaths(trial) <= RETRIES


def is_too_large(trial: FrozenTrial) -> bool:
    """Whether a trial's network was over the limits of the space, so that it was not trained."""
    return trial.state == TrialState.PRUNED and not trial.user_attrs.get(ACCURACIES)


def folder_name(trial: FrozenTrial | optuna.Trial) -> str:
    """Return the name of a trial's run folder: its own number, or that of the trial it resumes."""
    return str(trial.user_attrs.get(FOLDER, f"{trial.number:04d}"))


def superseded(trials: list[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that other trials have resumed."""
    with without_warnings():
        return {number for trial in trials for number in RetryHeartbeatStaleTrialCallback.retry_history(trial)}


def _is_dead(folder: TuningFolder, trial: FrozenTrial) -> bool:
    """Whether a running trial's worker is known to be dead; the caller holds the claim."""
    if BEGUN not in trial.user_attrs:
        return True  # it died while it held the claim
    is_ours = folder.database.exists() or trial.user_attrs[PLACE] == folder.place
    return is_ours and not is_at_work(folder.trial(folder_name(trial)))


def _queue_again(study: Study, trial: FrozenTrial) -> None:
    kept = {name: value for name, value in trial.user_attrs.items() if name not in (BEGUN, PAUSED)}
    trial.user_attrs = {**kept, DEATHS: _count_deaths(trial)}
    with without_warnings():
        RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)(study, trial)


def _count_deaths(trial: FrozenTrial) -> int:
    """Count the workers that died training a failed trial, including the last one."""
    return int(trial.user_attrs.get(DEATHS, 0)) + (PAUSED not in trial.user_attrs)
