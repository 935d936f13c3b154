"""When a search has done enough: what its leader is told, and what it tells its workers."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.files import write_json
from mnist_cnn.tuning.handover import REASON, is_too_large, superseded
from mnist_cnn.tuning.search_folder import TuningFolder

_STORAGE, _DEADLINE, _TRIALS, _LEADER = (
    f"MNIST_CNN_TUNE_{name}" for name in ("STORAGE", "DEADLINE", "TRIALS", "LEADER")
)
_HOPELESS = 5  # trials that all failed: something is wrong with all of them
_BARREN = 50  # networks over the limits in a row: the sampler finds none within them


@dataclass(frozen=True)
class Limits:
    """How long a search goes on, counted over all its sessions."""

    trials: float = math.inf
    seconds: float = math.inf
    workers: int = 1  # processes on this machine, which share its cores


@dataclass(frozen=True)
class Bounds:
    """When a worker has done enough."""

    trials: float = math.inf  # in all, of all workers and sessions; failed and pruned ones count, if they were trained
    deadline: float = math.inf  # seconds since 1970
    leader: int | None = None  # the process without which there is nobody to work for

    def in_time(self) -> bool:
        """Say whether training may go on."""
        orphaned = self.leader is not None and os.getppid() != self.leader  # the system gives orphans another parent
        return time.time() < self.deadline and not orphaned

    def want_another(self, study: Study) -> bool:
        """Say whether another trial may begin.

        Raises:
            MnistCnnError: All so far failed, or no network is within the space's limits.
        """
        trials = study.get_trials(deepcopy=False)
        gone = superseded(trials)
        begun = [trial for trial in trials if trial.number not in gone and trial.state != TrialState.WAITING]
        trained = [trial for trial in begun if not is_too_large(trial)]
        if len(trained) >= _HOPELESS and all(trial.state == TrialState.FAIL for trial in trained):
            raise MnistCnnError(f"the first {len(trained)} trials all failed, the last one so: {_reason(trained[-1])}")
        if len(begun) >= _BARREN and all(is_too_large(trial) for trial in begun[-_BARREN:]):
            raise MnistCnnError(
                f"the last {_BARREN} networks are all over the space's limits, the last one so: {_reason(begun[-1])}. "
                "Raise [limits] or narrow the ranges, and begin a new search."
            )
        return len(trained) < self.trials and self.in_time()


def _reason(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(REASON, "no reason known"))


def save_limits(folder: TuningFolder, limits: Limits) -> None:
    """Remember the limits, for a session that is not told any."""
    bounds = {"trials": limits.trials, "seconds": limits.seconds, "workers": limits.workers}
    finite = {name: value for name, value in bounds.items() if value < math.inf}
    write_json(folder.plan, {**folder.read_plan(), "limits": finite})


def read_limits(folder: TuningFolder) -> Limits | None:
    """Give the limits of the last session; None before the first."""
    known = folder.read_plan().get("limits")
    return None if known is None else Limits(**known)


def write_environment(bounds: Bounds, url: str) -> dict[str, str]:
    """Give the variables that tell a worker what is not in the folder.

    They are no arguments: a command line, which all users of a machine can read, is no place for a password.
    """
    told = {_DEADLINE: str(bounds.deadline), _TRIALS: str(bounds.trials), _STORAGE: url}
    return told | ({} if bounds.leader is None else {_LEADER: str(bounds.leader)})


def read_environment(environment: Mapping[str, str]) -> tuple[Bounds, str]:
    """Give back what `write_environment` was told."""
    leader = environment.get(_LEADER)
    bounds = Bounds(
        trials=float(environment.get(_TRIALS, "inf")),
        deadline=float(environment.get(_DEADLINE, "inf")),
        leader=int(leader) if leader else None,
    )
    return bounds, environment.get(_STORAGE, "")
