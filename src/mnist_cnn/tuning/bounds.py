"""When a search ends: the limits that users give, and the bounds that its leader passes to workers."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.files import write_json
from mnist_cnn.tuning.handover import REASON, is_too_large, superseded
from mnist_cnn.tuning.search_folder import TuningFolder

_VARIABLE = "MNIST_CNN_TUNE"
_HOPELESS = 5  # trials; if the first ones all fail, something is wrong with all of them
_BARREN = 50  # networks in a row over the limits; the sampler finds none within them


@dataclass(frozen=True)
class Limits:
    """How long a search runs, counted over all its sessions."""

    trials: float = math.inf
    seconds: float = math.inf
    workers: int = 1  # processes on this machine, which share its cores


@dataclass(frozen=True)
class Bounds:
    """When a worker stops."""

    trials: float = math.inf  # over all workers and sessions; failed and pruned trials count if they were trained
    deadline: float = math.inf  # seconds since 1970
    leader: int | None = None  # the process that started this worker; the worker stops when it is gone

    def in_time(self) -> bool:
        """Whether training may continue."""
        orphaned = self.leader is not None and os.getppid() != self.leader  # the system gives orphans another parent
        return time.time() < self.deadline and not orphaned

    def want_another(self, study: Study) -> bool:
        """Whether another trial may start.

        Raises:
            MnistCnnError: All trials so far failed, or no network is within the space's limits.
        """
        trials = study.get_trials(deepcopy=False)
        gone = superseded(trials)
        begun = [trial for trial in trials if trial.number not in gone and trial.state != TrialState.WAITING]
        trained = [trial for trial in begun if not is_too_large(trial)]
        if len(trained) >= _HOPELESS and all(trial.state == TrialState.FAIL for trial in trained):
            raise MnistCnnError(f"the first {len(trained)} trials all failed. The last one: {_reason(trained[-1])}")
        if len(begun) >= _BARREN and all(is_too_large(trial) for trial in begun[-_BARREN:]):
            raise MnistCnnError(
                f"the last {_BARREN} networks were all over the limits of the space. The last one: "
                f"{_reason(begun[-1])}. Raise [limits] or narrow the ranges, and start a new search."
            )
        return len(trained) < self.trials and self.in_time()


def save_limits(folder: TuningFolder, limits: Limits) -> None:
    """Save the limits for a later session without limits of its own."""
    finite = {name: value for name, value in asdict(limits).items() if value < math.inf}
    write_json(folder.plan, {**folder.read_plan(), "limits": finite})


def read_limits(folder: TuningFolder) -> Limits | None:
    """Return the limits of the last session; None before the first."""
    known = folder.read_plan().get("limits")
    return None if known is None else Limits(**known)


def write_environment(bounds: Bounds, url: str) -> dict[str, str]:
    """Return the environment variable that passes a worker what is not in the folder.

    Not arguments: all users of a machine can read a command line, and the URL may contain a password.
    """
    return {_VARIABLE: json.dumps({**asdict(bounds), "url": url})}


def read_environment(environment: Mapping[str, str]) -> tuple[Bounds, str]:
    """Read what `write_environment` wrote."""
    values = json.loads(environment.get(_VARIABLE, "{}"))
    url = values.pop("url", "")
    return Bounds(**values), url


def _reason(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(REASON, "unknown reason"))
