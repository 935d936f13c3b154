"""A search in sentences and table cells: the words of its report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mnist_cnn.evaluation.narrative import count, plain
from mnist_cnn.evaluation.templates import percent
from mnist_cnn.tuning.confirmation import Confirmation, Spread
from mnist_cnn.tuning.figures import name_setting
from mnist_cnn.tuning.plan import OBJECTIVES, Plan
from mnist_cnn.tuning.results import StudyResults, TrialResult
from mnist_cnn.tuning.space import Choice, Domain, Part, Space
from mnist_cnn.tuning.strategies import PRUNERS, SAMPLERS


def verdict(results: StudyResults) -> str:
    """Describe in a sentence or two what the search found."""
    best = results.best
    tried = count(results.ended, "trial")
    if best is None:
        return f"None of {tried} is complete yet, so there is nothing to choose from."
    return (
        f"Trial {best.number} is the best of {tried}: it classifies {percent(best.values[0])} of the validation images "
        "correctly. It was chosen by these images, so expect a little less on others."
    )


def confirmation_verdict(confirmed: Confirmation) -> str:
    """Describe in a few sentences how good the settings are on the test set."""
    seeds = count(len(confirmed.pairs), "seed")
    return (
        f"Trained on all training images with {seeds}, the settings of trial {confirmed.trial} classify "
        f"{spread(confirmed.found)} of the {confirmed.images:,} test images correctly, those of the recipe "
        f"{spread(confirmed.recipe)}. The difference is {points(confirmed.difference)}. {_judgement(confirmed)}"
    )


def _judgement(confirmed: Confirmation) -> str:
    if confirmed.interval is None:
        return "One seed cannot show whether that is more than random variation in training: confirm with 3 or more."
    low, high = confirmed.interval
    interval = f"95 % confidence interval over seeds: {_signed(low)} to {_signed(high)}"
    if low <= 0 <= high:
        return f"Random variation in training explains that ({interval})."
    return f"The settings found are {'better' if low > 0 else 'worse'} than those of the recipe ({interval})."


def spread(values: Spread) -> str:
    """Write accuracies of several seeds: 99.52 ± 0.04 %."""
    return f"{_plus_minus(values, '.2f')}\u202f%"


def points(values: Spread) -> str:
    """Write differences of accuracies over several seeds: +0.12 ± 0.03 percentage points."""
    return f"{_plus_minus(values, '+.2f')} percentage points"


def settings(space: Space, chosen: dict[str, Any]) -> list[tuple[str, str, str]]:
    """List what was varied: setting, possible values, value of the best trial."""
    return [
        (
            _name(setting.name if index is None else f"{setting.name}[{index}]", part),
            _describe(domain),
            _round(chosen[label]) if label in chosen else "–",
        )
        for part in space.parts
        for setting in part.settings
        for label, domain, index in setting.domains()
    ]


def fixed(space: Space) -> list[tuple[str, str]]:
    """List what the space sets to the same value in every trial: setting, value."""
    return [
        (_name(setting.name, part), plain(setting.content))
        for part in space.parts
        for setting in part.settings
        if not any(True for _ in setting.domains())
    ]


def method(plan: Plan, results: StudyResults) -> str:
    """Describe in a paragraph how the search worked."""
    pruner = PRUNERS["none" if len(plan.objectives) > 1 else plan.pruner]
    return (
        f"Trials are judged by {' and '.join(OBJECTIVES[name].title for name in plan.objectives)}. Settings are "
        f"proposed by {SAMPLERS[plan.sampler].title} (seed {plan.seed}), starting with those of the recipe where the "
        f"space allows them. A trial has {count(results.epochs, 'epoch')}; it {pruner.rule}. The validation images "
        f"are {100 * plan.base.data.validation:g} % of the training images, the same in every trial. No trial sees "
        "the test set."
    )


def failures(results: StudyResults) -> list[tuple[str, int, str]]:
    """List why trials failed or were not trained: state, how many, reason; the most frequent first."""
    lost = [
        ("too large", "the network is over the limits")
        if trial.too_large
        else ("failed", trial.reason or "unknown reason")
        for trial in results.trials
        if trial.state == "failed" or trial.too_large
    ]
    return [(state, number, reason) for (state, reason), number in Counter(lost).most_common()]


def choices(trial: TrialResult) -> str:
    """List the settings of a trial in one line."""
    return ", ".join(f"{name_setting(name)} {_round(value)}" for name, value in trial.choices.items())


def limits(plan: Plan, results: StudyResults, images: int | None, confirmed: Confirmation | None) -> Iterator[str]:
    """Yield the limitations that the numbers do not show."""
    best = results.best
    remedy = "" if confirmed else " To measure it on images that chose nothing, add --confirm 3 to the command."
    yield (
        f"The validation accuracy of the best trial is optimistic: it came first of {results.ended} trials by merit "
        f"and by luck.{remedy}"
    )
    if best and images:
        share = best.values[0]
        error = 100 * math.sqrt(share * (1 - share) / images)
        yield (
            f"On {images:,} validation images, an accuracy of {percent(share)} has a standard error of {error:.2g} "
            "percentage points. Smaller differences between trials mean nothing."
        )
    yield f"All trials share the seed {plan.base.training.seed}; with another seed, each would have another accuracy."
    yield (
        "A pruned trial is shown with its last accuracy; it might have improved. Importance applies to this space and "
        "to complete trials, and is rough if they are few."
    )
    if "latency" in plan.objectives:
        yield (
            "Each worker measured latency on its own machine, next to any other work there. Latencies from "
            "different machines are not comparable."
        )
    if confirmed:
        yield (
            f"The confirmation rests on {count(len(confirmed.pairs), 'seed')} and one test set. Its interval covers "
            "variation in training; McNemar's test covers that of the test images, for each pair of networks. "
            "Choosing again by these test results would make them optimistic too."
        )
    if confirmed and plan.base.training.early_stopping:
        yield (
            "The recipe stops early by validation images. Trained on all images it has none, so it ran all its "
            f"{count(confirmed.epochs[0], 'epoch')}."
        )


def _describe(domain: Domain) -> str:
    if isinstance(domain, Choice):
        return ", ".join(plain(label) for label in domain.labels)
    step = f" in steps of {_round(domain.step)}" if domain.step else ""
    return f"{_round(domain.low)} … {_round(domain.high)}{step}{', logarithmic' if domain.log else ''}"


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
