"""Which settings mattered in a search."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import TrialState
from scipy import stats

FEWEST = 8  # complete trials; of fewer a forest learns nothing
_SHUFFLES = 19  # to be above all of them happens by chance once in 20 times
_TREES, _FEWER_TREES = 64, 16  # shuffled, a forest need not be exact


@dataclass(frozen=True)
class Importance:
    """What one setting did to the trials' order by accuracy."""

    share: float  # of the differences in rank that a forest explains by this setting alone, 0 … 1
    chance: float  # the most that it explains after the ranks have been dealt out anew among the trials


def importances(study: Study) -> dict[str, Importance]:
    """Judge each setting by how much of the trials' order by validation accuracy it explains.

    Functional analysis of variance over a random forest (Hutter, Hoos & Leyton-Brown 2014), on the complete trials:
    pruned ones have not come to an accuracy that compares. On ranks, since one trial that learnt nothing would
    otherwise hold most of the variance. A setting that only some trials have is judged among those.

    A forest finds reasons in noise too, the more so the fewer the trials are. So each share comes with the largest one
    of several searches in which there is nothing to find, the same but for the order: a permutation test. Optuna's
    PED-ANOVA was tried on made-up searches of 10 to 80 trials, and found less often what had decided them.

    Returns:
        Setting → importance, the largest first; without settings that fewer than `FEWEST` complete trials have.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    accuracies = [trial.values[0] for trial in complete]
    ranks = dict(zip((trial.number for trial in complete), stats.rankdata(accuracies), strict=True))
    trials_of = {
        name: frozenset(trial.number for trial in complete if name in trial.params)
        for name in dict.fromkeys(name for trial in complete for name in trial.params)
    }
    found: dict[str, Importance] = {}
    for trials in set(trials_of.values()):
        known = [name for name, others in trials_of.items() if trials <= others]
        judged = _judge(study, known, {number: ranks[number] for number in sorted(trials)})
        found |= {name: judged[name] for name in judged if trials_of[name] == trials}
    return dict(sorted(found.items(), key=lambda item: -item[1].share))


def _judge(study: Study, names: Sequence[str], ranks: Mapping[int, float]) -> dict[str, Importance]:
    """Judge settings by the trials that have all of them."""
    if len(ranks) < FEWEST:
        return {}
    generator = np.random.default_rng(0)
    with contextlib.suppress(RuntimeError):  # all came to the same accuracy
        shares = _explain(study, names, ranks, _TREES)
        by_chance = [_explain(study, names, _deal_out_anew(ranks, generator), _FEWER_TREES) for _ in range(_SHUFFLES)]
        return {name: Importance(shares[name], max(each[name] for each in by_chance)) for name in names}
    return {}


def _deal_out_anew(ranks: Mapping[int, float], generator: np.random.Generator) -> dict[int, float]:
    return dict(zip(ranks, generator.permutation(list(ranks.values())), strict=True))


def _explain(study: Study, names: Sequence[str], ranks: Mapping[int, float], trees: int) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of `normalize`, without which shares add up to 1
        shares = get_param_importances(
            study,
            evaluator=FanovaImportanceEvaluator(n_trees=trees, seed=0),
            params=list(names),
            target=lambda trial: float(ranks[trial.number]),
            normalize=False,
        )
    return {name: float(share) for name, share in shares.items()}
