"""A study read into plain values, from which tables, reports and comparisons are made. No Optuna types leave here."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mnist_cnn.config import Config, current_name, override
from mnist_cnn.errors import RunFolderError
from mnist_cnn.tuning.handover import ACCURACIES, REASON, folder_name, is_too_large, is_unfinished, superseded
from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.space import configure
from mnist_cnn.tuning.study import open_plan, open_study

State = Literal["waiting", "running", "complete", "pruned", "failed"]

_STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_RECORDED = ("kept_epoch", "parameters", "multiply_adds", "seconds_per_epoch", "cpu_seconds")
_DIED = "its workers were killed again and again"  # of a failed trial that recorded no reason


@dataclass(frozen=True)
class TrialResult:
    """One trial; what is not known yet is None or empty."""

    number: int
    state: State
    reason: str  # why it was pruned or failed
    settings: dict[str, Any]  # dotted setting → value, as `space.configure` takes them
    choices: dict[str, Any]  # the same as the sampler sees it: one number, string or truth value per parameter
    values: tuple[float, ...]  # one per objective; only of a complete trial
    accuracies: tuple[float, ...]  # on the validation images, after each epoch
    kept_epoch: int | None  # from 1: the epoch whose weights became the model; only of a complete trial
    too_large: bool  # its network is over the limits of the space, and was not trained
    parameters: int | None
    multiply_adds: int | None  # per image
    seconds_per_epoch: float | None  # median: the first one also builds the graph
    cpu_seconds: float | None  # in training, over all threads
    began: dt.datetime | None
    seconds: float | None  # from start to end
    run: Path  # its run folder, on the machine that trained it

    @property
    def accuracy(self) -> float | None:
        """The final or latest accuracy on the validation images."""
        return self.values[0] if self.values else self.accuracies[-1] if self.accuracies else None


@dataclass(frozen=True)
class StudyResults:
    """The current state of a study."""

    name: str
    objectives: tuple[str, ...]
    epochs: int  # maximum per trial
    trials: tuple[TrialResult, ...]  # without those that another trial resumed
    front: tuple[TrialResult, ...]  # complete trials that no other trial beats in one objective and equals in the rest

    @property
    def complete(self) -> tuple[TrialResult, ...]:
        """Trials that ran to their end."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @property
    def ended(self) -> int:
        """How many trials are over: complete, pruned or failed. Networks too large to be trained do not count."""
        return sum(trial.state in ("complete", "pruned", "failed") and not trial.too_large for trial in self.trials)

    @property
    def best(self) -> TrialResult | None:
        """The complete trial with the highest validation accuracy; of equals the cheapest, then the earliest."""
        return min(self.complete, key=lambda trial: (-trial.values[0], *trial.values[1:], trial.number), default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, ready for JSON."""
        best, front = self.best.number if self.best else None, [trial.number for trial in self.front]
        return {**dataclasses.asdict(self), "best": best, "front": front}


def read_results(folder: TuningFolder) -> StudyResults:
    """Read a search's study.

    Raises:
        RunFolderError: The folder is not a search folder.
        SettingError: Its server cannot be reached.
    """
    return collect(open_study(folder), open_plan(folder), folder)


def collect(study: Study, plan: Plan, folder: TuningFolder) -> StudyResults:
    """Read an open study."""
    trials = study.get_trials(deepcopy=False)
    gone, front = superseded(trials), {trial.number for trial in study.best_trials}
    results = tuple(_read(trial, folder) for trial in trials if trial.number not in gone)
    return StudyResults(
        name=plan.name,
        objectives=plan.objectives,
        epochs=plan.base.training.epochs,
        trials=results,
        front=tuple(trial for trial in results if trial.number in front),
    )


def best_config(results: StudyResults, plan: Plan, trial: TrialResult | None = None) -> Config:
    """Return a trial's configuration as a recipe; by default that of the best trial.

    Raises:
        RunFolderError: No trial is complete.
    """
    chosen = trial or results.best
    if chosen is None or not chosen.values:
        raise RunFolderError(f"no trial of {results.name!r} is complete. Continue with --resume and more --time.")
    words = {
        "title": f"Trial {chosen.number} of the search {results.name!r}",
        "source": f"Found by mnist-cnn tune, from: {plan.base.title or plan.base.model.architecture}",
        "expected_accuracy": f"{chosen.values[0]:.2%} on the validation images that chose it",
        "parameters": chosen.parameters or 0,
    }
    return override(configure(plan.base, chosen.settings), words)


def _read(trial: FrozenTrial, folder: TuningFolder) -> TrialResult:
    known = trial.user_attrs
    state: State = "waiting" if is_unfinished(trial) else _STATES[trial.state]  # it will be queued again
    return TrialResult(
        number=trial.number,
        state=state,
        reason=known.get(REASON, _DIED if state == "failed" else ""),
        settings={current_name(name): value for name, value in known.get("settings", {}).items()},
        choices=dict(trial.params),
        values=tuple(trial.values or ()) if trial.state == TrialState.COMPLETE else (),
        accuracies=tuple(known.get(ACCURACIES, ())),
        too_large=is_too_large(trial),
        began=trial.datetime_start,
        seconds=trial.duration.total_seconds() if trial.duration else None,
        run=folder.trial(folder_name(trial)).root,
        **{name: known.get(name) for name in _RECORDED},
    )
