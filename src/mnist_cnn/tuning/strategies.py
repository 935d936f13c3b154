"""Samplers, which propose the settings of the next trial, and pruners, which stop hopeless trials early.

To add one, add it here and its name to `plan`, which does not import Optuna.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.storage import without_warnings

_FIRST_JUDGED = 1 / 6  # share of a trial's epochs before the median pruner judges it
_STARTUP = 2  # trials that the median pruner never stops, so that there is a median


@dataclass(frozen=True)
class SamplerKind:
    """One way to propose settings."""

    title: str  # what the report calls it
    build: Callable[[int, int], BaseSampler]  # seed, number of objectives


@dataclass(frozen=True)
class PrunerKind:
    """One way to stop trials early."""

    rule: str  # completes the report's sentence "A trial …"
    build: Callable[[int], BasePruner]  # epochs per trial


def _build_tpe(seed: int, objectives: int) -> BaseSampler:
    joint = objectives == 1  # Optuna's own default: several objectives do better without
    return TPESampler(seed=seed, multivariate=joint, group=joint)


def _build_median(epochs: int) -> BasePruner:
    return MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=round(epochs * _FIRST_JUDGED))


def _build_hyperband(epochs: int) -> BasePruner:
    return HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)


SAMPLERS = {
    "tpe": SamplerKind("Optuna's TPE", _build_tpe),
    "random": SamplerKind("random search", lambda seed, objectives: RandomSampler(seed)),
}
PRUNERS = {
    "median": PrunerKind("stops if it is below the median of earlier trials after the same epoch", _build_median),
    "hyperband": PrunerKind("stops if it is not in the best third at a Hyperband checkpoint", _build_hyperband),
    "none": PrunerKind("always runs to its last epoch", lambda epochs: NopPruner()),
}


def build_pruner(plan: Plan) -> BasePruner:
    """Build what decides after each epoch whether a trial continues."""
    epochs = plan.base.training.epochs
    return PRUNERS[plan.pruner].build(epochs) if epochs > 1 else NopPruner()


def build_sampler(plan: Plan) -> BaseSampler:
    """Build what proposes the settings of each trial."""
    return NumberedSampler(plan)


class NumberedSampler(BaseSampler):
    """The plan's sampler, with random numbers that depend only on the seed and the trial's number.

    A single generator would start again in every session and in every worker, and they would propose the same settings.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sampler = self._build(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Start the trial's own random numbers."""
        self._sampler = self._build(trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are proposed together."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose the parameters that are proposed together."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Propose one parameter on its own."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Let the plan's sampler note what it needs."""
        self._sampler.after_trial(study, trial, state, values)

    def _build(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._plan.seed, number]).generate_state(1)[0])
        with without_warnings():
            return SAMPLERS[self._plan.sampler].build(seed, len(self._plan.objectives))
