"""Which settings mattered in a search."""

from __future__ import annotations

import contextlib

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import TrialState

FEWEST = 8  # complete trials; of fewer a forest learns nothing


def importances(study: Study) -> dict[str, float]:
    """Give the share of the differences in validation accuracy that each setting explains by itself, 0 … 1.

    Functional analysis of variance over a random forest (Hutter, Hoos & Leyton-Brown 2014), on the complete trials:
    pruned ones have not come to an accuracy that compares. Settings that not every complete trial has are left out.

    Returns:
        Setting → share, the largest first; empty where the trials are too few or do not differ.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < FEWEST:
        return {}
    with contextlib.suppress(RuntimeError):  # all trials came to the same accuracy
        shares = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), target=lambda trial: float(trial.values[0])
        )
        return {name: float(share) for name, share in shares.items()}
    return {}
