"""A study read into plain values: what tables, reports and comparisons are made of. No Optuna types leave here."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mnist_cnn.config import Config, override
from mnist_cnn.errors import RunFolderError
from mnist_cnn.tuning.handover import ACCURACIES, REASON, folder_name, is_too_large, is_unfinished, superseded
from mnist_cnn.tuning.plan import OBJECTIVES, Plan
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
_DIED = "its workers died again and again"  # of a failed trial that could not say why


@dataclass(frozen=True)
class TrialResult:
    """One trial; what is not known yet is None or empty."""

    number: int
    state: State
    reason: str  # why it was pruned or failed
    settings: dict[str, Any]  # dotted setting → value: what `space.configure` takes
    choices: dict[str, Any]  # the same as the sampler sees it: one number, string or truth value per parameter
    values: tuple[float, ...]  # one per objective; only of a complete trial
    accuracies: tuple[float, ...]  # on the validation images, after each epoch
    kept_epoch: int | None  # from 1: whose weights became the model; only of a complete trial
    too_large: bool  # its network is over the space's limits, and was not trained
    parameters: int | None
    multiply_adds: int | None  # an image
    seconds_per_epoch: float | None  # median: the first one also builds the graph
    cpu_seconds: float | None  # in training, over all threads
    began: dt.datetime | None
    seconds: float | None  # from begin to end
    run: Path  # its run folder, on the machine that trained it

    @property
    def accuracy(self) -> float | None:
        """What the trial came to, or stands at, on the validation images."""
        return self.values[0] if self.values else self.accuracies[-1] if self.accuracies else None


@dataclass(frozen=True)
class StudyResults:
    """A study as it stands."""

    name: str
    objectives: tuple[str, ...]
    epochs: int  # of a trial that is not pruned
    trials: tuple[TrialResult, ...]  # without those that another one has taken up again

    @property
    def complete(self) -> tuple[TrialResult, ...]:
        """Trials that came to their end."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @property
    def ended(self) -> int:
        """How many trials are over: complete, pruned or failed. Networks that were too large to be trained are none."""
        return sum(trial.state in ("complete", "pruned", "failed") and not trial.too_large for trial in self.trials)

    @property
    def best(self) -> TrialResult | None:
        """The complete trial with the highest validation accuracy; of equals the cheapest, then the earliest."""
        return min(self.complete, key=lambda trial: (-trial.values[0], *trial.values[1:], trial.number), default=None)

    @property
    def front(self) -> tuple[TrialResult, ...]:
        """The Pareto front: complete trials than which no other is better in one objective and as good in all."""
        costs = {trial.number: _costs(trial, self.objectives) for trial in self.complete}
        return tuple(
            trial
            for trial in self.complete
            if not any(_dominates(other, costs[trial.number]) for other in costs.values())
        )

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers, ready for JSON."""
        return {
            "name": self.name,
            "objectives": list(self.objectives),
            "epochs": self.epochs,
            "trials": [dataclasses.asdict(trial) for trial in self.trials],
            "best": self.best.number if self.best else None,
            "front": [trial.number for trial in self.front],
        }


def read_results(folder: TuningFolder, url: str = "") -> StudyResults:
    """Read a search's study.

    Raises:
        RunFolderError: The folder holds no search, or its server cannot be reached.
    """
    return collect(open_study(folder, url), open_plan(folder), folder)


def collect(study: Study, plan: Plan, folder: TuningFolder) -> StudyResults:
    """Read an open study."""
    trials = study.get_trials(deepcopy=False)
    gone = superseded(trials)
    return StudyResults(
        name=plan.name,
        objectives=plan.objectives,
        epochs=plan.base.training.epochs,
        trials=tuple(_read(trial, folder) for trial in trials if trial.number not in gone),
    )


def best_config(results: StudyResults, plan: Plan, trial: TrialResult | None = None) -> Config:
    """Give a trial's configuration as a recipe: the best one's, unless another is named.

    Raises:
        RunFolderError: No trial has come to its end.
    """
    chosen = trial or results.best
    if chosen is None or not chosen.values:
        raise RunFolderError(f"no trial of {results.name!r} has come to its end. Go on with --resume and more --time.")
    words = {
        "title": f"Trial {chosen.number} of the search {results.name!r}",
        "source": f"Found by mnist-cnn tune, from: {plan.base.title or plan.base.model.architecture}",
        "expected_accuracy": f"{chosen.values[0]:.2%} on the validation images that chose it",
        "parameters": chosen.parameters or 0,
    }
    return override(configure(plan.base, chosen.settings), words)


def _read(trial: FrozenTrial, folder: TuningFolder) -> TrialResult:
    known = trial.user_attrs
    state: State = "waiting" if is_unfinished(trial) else _STATES[trial.state]  # soon the study says so, too
    return TrialResult(
        number=trial.number,
        state=state,
        reason=known.get(REASON, _DIED if state == "failed" else ""),
        settings=known.get("settings", {}),
        choices=dict(trial.params),
        values=tuple(trial.values) if trial.state == TrialState.COMPLETE and trial.values else (),
        accuracies=tuple(known.get(ACCURACIES, ())),
        kept_epoch=known.get("kept_epoch"),
        too_large=is_too_large(trial),
        parameters=known.get("parameters"),
        multiply_adds=known.get("multiply_adds"),
        seconds_per_epoch=known.get("seconds_per_epoch"),
        cpu_seconds=known.get("cpu_seconds"),
        began=trial.datetime_start,
        seconds=trial.duration.total_seconds() if trial.duration else None,
        run=folder.trial(folder_name(trial)).root,
    )


def _costs(trial: TrialResult, objectives: Sequence[str]) -> tuple[float, ...]:
    signs = (-1 if OBJECTIVES[name] == "maximize" else 1 for name in objectives)
    return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))


def _dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    return tuple(first) != tuple(second) and all(a <= b for a, b in zip(first, second, strict=True))
