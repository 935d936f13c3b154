"""What a trial keeps for whoever takes it up again, and how it comes to them when its worker is gone."""

from __future__ import annotations

import contextlib

import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mnist_cnn.tuning.search_folder import TuningFolder, is_at_work
from mnist_cnn.tuning.storage import without_warnings

RETRIES = 3  # a trial that takes its workers down with it is given up

# Attributes of a trial: where its run folder is, why it ended, how many workers died over it, how its epochs went.
PLACE, FOLDER, REASON, DEATHS, ACCURACIES = "place", "folder", "reason", "deaths", "accuracies"
BEGUN, PAUSED = "begun", "paused"  # of one try alone: a trial that is queued again loses them


def hand_back_abandoned(study: Study, folder: TuningFolder) -> None:
    """Queue again every trial that nobody works at any more; who takes it up goes on from its last finished epoch.

    Which worker is dead is known at once of those here, later of those elsewhere. In the study the trial becomes a new
    one that remembers the number of the old one, which counts as failed. Whoever calls this must hold the claim; if it
    dies here, the next one does the rest.
    """
    with without_warnings():
        optuna.storages.fail_stale_trials(study)  # whose workers on other machines have given no sign of life
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_dead(folder, trial):
            with contextlib.suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):  # it ended just now
                study.tell(trial.number, state=TrialState.FAIL)
    trials = study.get_trials()
    gone = superseded(trials)
    for trial in trials:
        if is_unfinished(trial) and trial.number not in gone:
            _queue_again(study, trial)


def is_unfinished(trial: FrozenTrial) -> bool:
    """Say whether a trial only failed because its worker paused, or died and may be replaced by another one."""
    return trial.state == TrialState.FAIL and REASON not in trial.user_attrs and _count_deaths(trial) <= RETRIES


def is_too_large(trial: FrozenTrial) -> bool:
    """Say whether a trial's network was over the space's limits, and so was not trained."""
    return trial.state == TrialState.PRUNED and not trial.user_attrs.get(ACCURACIES)


def folder_name(trial: FrozenTrial | optuna.Trial) -> str:
    """Give the name of a trial's run folder: its number's, or that of the trial which it takes up again."""
    return str(trial.user_attrs.get(FOLDER, f"{trial.number:04d}"))


def superseded(trials: list[FrozenTrial]) -> set[int]:
    """Give the numbers of the trials that others have taken up again."""
    with without_warnings():
        return {number for trial in trials for number in RetryHeartbeatStaleTrialCallback.retry_history(trial)}


def _is_dead(folder: TuningFolder, trial: FrozenTrial) -> bool:
    """Say whether a running trial's worker is known to be dead, by one who holds the claim."""
    if BEGUN not in trial.user_attrs:
        return True  # it died while it held the claim itself
    is_ours = folder.database.exists() or trial.user_attrs[PLACE] == folder.place
    return is_ours and not is_at_work(folder.trial(folder_name(trial)))


def _queue_again(study: Study, trial: FrozenTrial) -> None:
    kept = {name: value for name, value in trial.user_attrs.items() if name not in (BEGUN, PAUSED)}
    trial.user_attrs = {**kept, DEATHS: _count_deaths(trial)}
    with without_warnings():
        RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)(study, trial)


def _count_deaths(trial: FrozenTrial) -> int:
    """Count the workers that died over a failed trial, its last one included."""
    return int(trial.user_attrs.get(DEATHS, 0)) + (PAUSED not in trial.user_attrs)
