"""Which settings mattered in a search."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import TrialState
from scipy import stats

from mnist_cnn.tuning.storage import without_warnings

FEWEST = 8  # complete trials; a forest learns nothing from fewer
_SHUFFLES = 19  # exceeding all of them happens by chance once in 20 times
_TREES, _FEWER_TREES = 64, 16  # shuffled forests need less precision


@dataclass(frozen=True)
class Importance:
    """How much one setting explains of the trials' order by accuracy."""

    share: float  # of the differences in rank that a forest explains by this setting alone, 0 … 1
    chance: float  # the largest share after the ranks were shuffled among the trials


def importances(study: Study) -> dict[str, Importance]:
    """Judge each setting by how much it explains of the trials' order by validation accuracy.

    Functional analysis of variance over a random forest (Hutter, Hoos & Leyton-Brown 2014), on the complete trials:
    accuracies of pruned ones do not compare. On ranks, because otherwise a trial that learnt nothing would cause
    most of the variance. A setting that only some trials have is judged among those.

    A forest explains noise too, the more so the fewer the trials. So each share comes with the largest of several
    shares for shuffled ranks: a permutation test. Optuna computes the analysis, but neither ranks nor shuffles; its
    default evaluator, PED-ANOVA, found the settings that mattered less often in simulated searches of 10 to 80 trials.

    Returns:
        Setting → importance, the largest first; without settings that fewer than `FEWEST` complete trials have.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    accuracies = stats.rankdata([trial.values[0] for trial in complete])
    ranks = {trial.number: rank for trial, rank in zip(complete, accuracies, strict=True)}
    trials_of: dict[str, set[int]] = {}
    for trial in complete:
        for name in trial.params:
            trials_of.setdefault(name, set()).add(trial.number)
    found: dict[str, Importance] = {}
    for trials in {frozenset(each) for each in trials_of.values() if len(each) >= FEWEST}:
        known = [name for name, others in trials_of.items() if trials <= others]
        judged = _judge(study, known, {number: ranks[number] for number in sorted(trials)})
        found |= {name: each for name, each in judged.items() if trials_of[name] == trials}
    return dict(sorted(found.items(), key=lambda item: -item[1].share))


def _judge(study: Study, names: Sequence[str], ranks: Mapping[int, float]) -> dict[str, Importance]:
    """Judge settings by the trials that have all of them."""
    generator = np.random.default_rng(0)
    with contextlib.suppress(RuntimeError):  # all trials have the same accuracy
        shares = _explain(study, names, ranks, _TREES)
        shuffled = (generator.permutation(list(ranks.values())) for _ in range(_SHUFFLES))
        chance = [_explain(study, names, dict(zip(ranks, each, strict=True)), _FEWER_TREES) for each in shuffled]
        return {name: Importance(shares[name], max(each[name] for each in chance)) for name in names}
    return {}


def _explain(study: Study, names: Sequence[str], ranks: Mapping[int, float], trees: int) -> dict[str, float]:
    with without_warnings():
        shares = get_param_importances(
            study,
            evaluator=FanovaImportanceEvaluator(n_trees=trees, seed=0),
            params=list(names),
            target=lambda trial: float(ranks[trial.number]),
            normalize=False,
        )
    return {name: float(share) for name, share in shares.items()}
