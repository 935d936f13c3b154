"""Who proposes the settings of the next trial."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState


class NumberedSampler(BaseSampler):
    """Optuna's TPE, with random numbers that depend on the seed and the trial's number alone.

    One generator for a whole search would start again in every session and every worker, and they would propose the
    same settings. So each trial has its own: what is proposed follows from the seed and what is known of the trials
    before, whether or not the search was interrupted between them.
    """

    def __init__(self, seed: int, objectives: int) -> None:
        self._seed = seed
        self._joint = objectives == 1  # as Optuna decides by default: several objectives do better without
        self._sampler: BaseSampler = self._begin(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Start the trial's own random numbers."""
        self._sampler = self._begin(trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Find the parameters that are proposed together."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose them."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Propose a parameter on its own."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Let the sampler note what it needs."""
        self._sampler.after_trial(study, trial, state, values)

    def _begin(self, number: int) -> TPESampler:
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group` has been one since 2021
            return TPESampler(seed=seed, multivariate=self._joint, group=self._joint)
