"""A search in sentences and table cells: what its report says in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mnist_cnn.evaluation.narrative import plain
from mnist_cnn.evaluation.templates import percent
from mnist_cnn.tuning.confirmation import Confirmation, Spread
from mnist_cnn.tuning.figures import name_setting
from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.results import StudyResults, TrialResult
from mnist_cnn.tuning.space import Choice, Domain, Part, Space

COSTS = {  # objective or measure → how a table and a picture call it
    "parameters": "parameters",
    "multiply_adds": "multiply-adds an image",
    "latency": "latency (ms an image)",
}
_PRUNERS = {
    "median": "was ended where it stood below the median of those before it after as many epochs",
    "hyperband": "was ended where it was not among the best third at one of Hyperband's looks",
    "none": "went on to its last epoch",
}


def verdict(results: StudyResults) -> str:
    """Say in a sentence or two what the search came to."""
    best = results.best
    tried = _count(results.ended, "trial")
    if best is None:
        return f"Of {tried} none has come to its end yet, so there is nothing to choose."
    return (
        f"The best of {tried} reads {percent(best.values[0])} of the validation images right. "
        f"It is trial {best.number}. These images chose it, so on others the figure would be a little lower."
    )


def confirmation_verdict(confirmed: Confirmation) -> str:
    """Say in a few sentences what the settings are worth on the test set."""
    seeds = _count(len(confirmed.pairs), "seed")
    return (
        f"Trained on all training images with {seeds}, the settings of trial {confirmed.trial} read "
        f"{spread(confirmed.found)} of the {confirmed.images:,} test images right, the recipe's "
        f"{spread(confirmed.recipe)}. The difference is {points(confirmed.difference)}. {_judgement(confirmed)}"
    )


def _judgement(confirmed: Confirmation) -> str:
    if confirmed.interval is None:
        return "One seed cannot tell whether that is more than the luck of training: confirm with 3 or more."
    low, high = confirmed.interval
    interval = f"95 % confidence over seeds: {_signed(low)} to {_signed(high)}"
    if low <= 0 <= high:
        return f"That is not more than the luck of training explains ({interval})."
    return f"The settings that were found are {'better' if low > 0 else 'worse'} than the recipe's ({interval})."


def spread(values: Spread) -> str:
    """Write accuracies of several seeds: 99.52 ± 0.04 %."""
    return f"{_plus_minus(values, '.2f')}\u202f%"


def points(values: Spread) -> str:
    """Write differences of accuracies over several seeds: +0.12 ± 0.03 percentage points."""
    return f"{_plus_minus(values, '+.2f')} percentage points"


def settings(space: Space, chosen: dict[str, Any]) -> list[tuple[str, str, str]]:
    """List what was varied: setting, values to choose from, value of the best trial."""
    rows = []
    for part in space.parts:
        for setting in part.settings:
            for label, domain, index in setting.domains():
                name = setting.name if index is None else f"{setting.name}[{index}]"
                value = chosen.get(label)
                rows.append((_name(name, part), _describe(domain), "–" if value is None else _round(value)))
    return rows


def fixed(space: Space) -> list[tuple[str, str]]:
    """List what the space sets to the same value in every trial: setting, value."""
    return [
        (_name(setting.name, part), plain(setting.content))
        for part in space.parts
        for setting in part.settings
        if not any(True for _ in setting.domains())
    ]


def method(plan: Plan, results: StudyResults) -> str:
    """Say in a paragraph how was searched."""
    objectives = " and ".join(["validation accuracy", *(COSTS[name] for name in plan.objectives[1:])])
    pruned = _PRUNERS["none" if len(plan.objectives) > 1 else plan.pruner]
    held_out = f"{100 * plan.base.data.validation:g} % of the training images, held out, the same in every trial"
    return (
        f"Judged by {objectives}. Settings were proposed by Optuna's TPE (seed {plan.seed}), beginning with the "
        f"recipe's as far as the space holds them. A trial has {_count(results.epochs, 'epoch')}; it {pruned}. "
        f"Validation images are {held_out}. No trial has seen the test set."
    )


def failures(results: StudyResults) -> list[tuple[str, int, str]]:
    """List why trials failed or were turned down unseen: state, how many, reason; the most frequent first."""
    lost = [
        ("too large", "its network is over the limits")
        if trial.too_large
        else ("failed", trial.reason or "no reason known")
        for trial in results.trials
        if trial.state == "failed" or trial.too_large
    ]
    return [(state, count, reason) for (state, reason), count in Counter(lost).most_common()]


def choices(trial: TrialResult) -> str:
    """Say in a line what was drawn for a trial."""
    return ", ".join(f"{name_setting(name)} {_round(value)}" for name, value in trial.choices.items())


def limits(plan: Plan, results: StudyResults, images: int | None, confirmed: Confirmation | None) -> Iterator[str]:
    """Give what the numbers do not show."""
    best = results.best
    remedy = " Only images that chose nothing can say how good it is: add --confirm 3 to the command."
    yield (
        f"Validation accuracy is optimistic for the best trial: of {results.ended} trials, one was chosen because it "
        f"came out first, by merit and by luck.{'' if confirmed else remedy}"
    )
    if best and images:
        share = best.values[0]
        error = 100 * math.sqrt(share * (1 - share) / images)
        yield (
            f"On {images:,} validation images, chance moves an accuracy of {percent(share)} by about ±{error:.2g} "
            "percentage points (one standard deviation). Trials that are closer together are not told apart."
        )
    yield f"All trials share the seed {plan.base.training.seed}. Another one gives each of them another accuracy."
    yield (
        "A pruned trial is shown with what it had reached when it was ended; it might have caught up. Importance holds "
        "within this space and among complete trials, and is rough where they are few."
    )
    if "latency" in plan.objectives:
        yield (
            "Latency was measured by each worker on its own machine, beside what else that did. Latencies of different "
            "machines do not compare."
        )
    if confirmed:
        yield from _confirmation_limits(plan, confirmed)


def _confirmation_limits(plan: Plan, confirmed: Confirmation) -> Iterator[str]:
    yield (
        f"The confirmation rests on {_count(len(confirmed.pairs), 'seed')} and one test set. Its interval holds the "
        "luck of training; that of the test images is in McNemar's test, for each pair of networks. Choosing again by "
        "these test results would make them optimistic too."
    )
    if plan.base.training.early_stopping:
        yield (
            "The recipe looks at validation images to know when to stop. Trained on all images it has none: it ran all "
            f"its {_count(confirmed.epochs[0], 'epoch')}."
        )


def _describe(domain: Domain) -> str:
    if isinstance(domain, Choice):
        return ", ".join(plain(label) for label in domain.labels)
    step = f" in steps of {_round(domain.step)}" if domain.step else ""
    return f"{_round(domain.low)} … {_round(domain.high)}{step}{', by order of magnitude' if domain.log else ''}"


def _name(name: str, part: Part) -> str:
    condition = " or ".join(str(value) for values in part.when.values() for value in values)
    return f"{name} ({condition})" if condition else name


def _round(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def _plus_minus(values: Spread, form: str) -> str:
    mean = f"{100 * values.mean:{form}}".replace("-", "−")
    return mean if values.deviation is None else f"{mean}\u00a0±\u00a0{100 * values.deviation:.2f}"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "−")


def _count(number: int, singular: str) -> str:
    return f"{number:,} {singular if number == 1 else singular + 's'}"
