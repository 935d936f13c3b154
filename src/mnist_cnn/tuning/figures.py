"""Pictures of a search, drawn by Optuna in this package's style.

Optuna draws a copy of the study (`copy_study`) with accuracies in percent and short names. Pruned trials count as
infeasible there, so Optuna draws them pale. The importance picture is ours: Optuna cannot show what chance explains.
"""

from __future__ import annotations

import contextlib
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from optuna.visualization import matplotlib as drawing

from mnist_cnn.evaluation.figures.style import MUTED, RIGHT, RULE, TEXT, WRONG, shorten, styled
from mnist_cnn.tuning.results import StudyResults, TrialResult

WORST_SHOWN = 4  # times the error of the best trial: lower accuracies are drawn at the edge
BARS, SLICES, SLICE_COLUMNS, COORDINATES = 12, 12, 4, 7

_ACCURACY = "validation accuracy, %"
_PALE = "#cccccc"  # as Optuna has it
_LOOKS = {  # Optuna's label → ours, and its colour
    _ACCURACY: ("complete", RIGHT),
    "Infeasible Trial": ("pruned", _PALE),
    "Best Trial": ("Pareto front", RIGHT),
    "Trial": ("another trial is cheaper and as good", _PALE),
}
_SECTION = re.compile(r"^(?:[a-z_]+\.)+")
_CONDITIONAL = re.compile(r"(?P<name>[^ ]+)(?P<condition> \(.*\))(?P<place>(\[\d+\])?)")


def copy_study(study: Study, results: StudyResults) -> Study:
    """Copy what the pictures show: complete and pruned trials, under their own numbers.

    Args:
        study: Of the search.
        results: The same trials; at least one is complete.
    """
    shown = {trial.number: trial for trial in results.trials if trial.state in ("complete", "pruned")}
    copy = optuna.create_study(direction="maximize")
    for trial in study.get_trials(deepcopy=False):
        known = shown.get(trial.number)
        if known and known.accuracy is not None:
            copy.add_trial(_copy_trial(trial, known, _floor(results)))
        else:
            copy.add_trial(create_trial(state=TrialState.FAIL))  # keeps the numbers of the trials after it
    return copy


@styled
def search_history(shown: Study) -> Figure:
    """Draw the accuracy of each trial in order, and the best so far."""
    with _as_styled():
        axes = drawing.plot_optimization_history(shown, target_name=_ACCURACY)
    axes.collections[-1].set_label("Infeasible Trial")
    axes.lines[0].set(color=TEXT, label="best so far", drawstyle="steps-post", zorder=0.5)
    _ring(axes, shown.best_trial.number, shown.best_trial)
    return _finish(axes, (9, 3.4), x="trial")


@styled
def trial_curves(shown: Study) -> Figure:
    """Draw the validation accuracy of every trial after each epoch."""
    with _as_styled():
        axes = drawing.plot_intermediate_values(shown)
    best = shown.best_trial.number
    for line in axes.lines:
        trial = shown.trials[int(str(line.get_label()).removeprefix("Trial"))]
        label, colour = ("pruned", MUTED) if trial.constraints else ("complete", RIGHT)
        line.set(color=colour, label=label, linewidth=1, alpha=0.5, markersize=4)
        if trial.number == best:
            line.set(color=WRONG, label=f"best, trial {best}", linewidth=2.2, alpha=1, zorder=3)
    reached = [value for trial in shown.trials for value in trial.intermediate_values.values()]
    _limit(axes, max(min(reached), _lowest(shown.best_value, 2 * WORST_SHOWN)), max(reached))
    return _finish(axes, (9, 3.4), x="epoch")


@styled
def setting_importance(shares: Mapping[str, float], chance: Mapping[str, float]) -> Figure:
    """Draw how much of the differences between trials each setting explains, the largest share first.

    Args:
        shares: Setting → 0 … 1.
        chance: Setting → the largest share that was found where there is nothing to explain.
    """
    names = sorted(shares, key=lambda name: -shares[name])[:BARS]
    figure = Figure(figsize=(6.4, 0.8 + 0.27 * len(names)))
    axes = figure.subplots()
    widths, bands = [shares[name] for name in names], [chance[name] for name in names]
    axes.barh(range(len(names)), bands, height=0.7, color=RULE, label="explained by chance")
    colours = [RIGHT if width > band else MUTED for width, band in zip(widths, bands, strict=True)]
    bars = axes.barh(range(len(names)), widths, height=0.34, color=colours)
    axes.bar_label(bars, [f"{100 * width:.0f} %" for width in widths], padding=4, fontsize=8.5)
    axes.set_yticks(range(len(names)), [name_setting(name, 32) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.12 * max(*widths, *bands), 1e-6))
    axes.set_xticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    return figure


@styled
def setting_slices(shown: Study, names: Sequence[str]) -> Figure:
    """Draw accuracy against each setting in turn.

    Args:
        shown: From `copy_study`.
        names: Of settings, the most interesting first; at most `SLICES` are drawn.
    """
    names = [name_setting(name) for name in names[:SLICES]]
    with _as_styled():
        panels: Any = drawing.plot_slice(shown, names)
        drawn = {axes.get_xlabel(): axes for axes in np.atleast_1d(panels)}
    figure = _figure(drawn[names[0]])
    figure.axes[-1].remove()  # the scale of trial numbers
    figure.suptitle("")
    rows = -(-len(names) // SLICE_COLUMNS)
    grid = figure.add_gridspec(rows, SLICE_COLUMNS)
    for place, name in enumerate(names):
        drawn[name].set_subplotspec(grid[divmod(place, SLICE_COLUMNS)])
        _restyle_slice(drawn[name], name, shown.best_trial, is_first=place % SLICE_COLUMNS == 0)
    return _finish(drawn[names[0]], (9, 0.3 + 1.8 * rows), title=name_setting(names[0], 26), y="")


@styled
def parallel_coordinates(shown: Study, names: Sequence[str]) -> Figure:
    """Draw each complete trial as a line from its accuracy through its settings; arguments as for `setting_slices`."""
    complete = optuna.create_study(direction="maximize")
    complete.add_trials([trial for trial in shown.trials if not trial.constraints])
    known = {name for trial in complete.trials for name in trial.params}
    with _as_styled():
        axes = drawing.plot_parallel_coordinate(
            complete, [short for short in map(name_setting, names[:COORDINATES]) if short in known]
        )
    lines: Any = axes.collections[0]
    lines.set_linewidth(1.2)
    best = max(lines.get_segments(), key=lambda points: points[0, 1])
    axes.plot(*best.T, color=WRONG, linewidth=2.2, zorder=3)
    folded = [textwrap.fill(label, 11, break_long_words=False) for label in _labels(axes)[1:]]
    axes.set_xticks(range(len(best)), ["accuracy, %", *folded], rotation=0)
    axes.figure.axes[1].remove()  # the colour bar repeats the first axis
    for other in axes.figure.axes:
        if other.get_yscale() == "log":
            other.set_yticks(other.get_ylim())
            other.yaxis.set_major_formatter("{x:.2g}")
            other.yaxis.set_minor_locator(NullLocator())
    return _finish(axes, (9, 4.3), y="")


@styled
def accuracy_against_cost(results: StudyResults, title: str, costs: Mapping[int, float]) -> Figure:
    """Draw accuracy against a cost, with the trials that no other trial beats in both.

    Args:
        results: Of the search.
        title: Of the cost.
        costs: Trial number → cost; at least one complete trial has one.
    """
    copy = optuna.create_study(directions=["minimize", "maximize"])
    for trial in results.complete:
        if trial.number in costs:
            values = [costs[trial.number], 100 * trial.values[0]]
            copy.add_trial(create_trial(values=values, user_attrs={"number": trial.number}))
    with _as_styled():
        axes = drawing.plot_pareto_front(copy, target_names=[title, _ACCURACY])
    accuracies = [trial.values[1] for trial in copy.trials]
    _limit(axes, max(min(accuracies), _floor(results)), max(accuracies))
    for best in copy.best_trials:
        axes.annotate(str(best.user_attrs["number"]), best.values, (-4, 4), textcoords="offset points", ha="right")
    axes.xaxis.set_major_formatter(lambda cost, _: f"{cost:,.0f}" if cost > 100 else f"{cost:g}")
    return _finish(axes, (6.2, 3.4), x=title)


def name_setting(name: str, length: int = 40) -> str:
    """Return a setting's name without its section: `model.arguments.filters (vgg)[0]` is `filters[0] (vgg)`."""
    text = _SECTION.sub("", name)
    if match := _CONDITIONAL.fullmatch(text):
        text = f"{match['name']}{match['place']}{match['condition']}"
    return shorten(text.replace("_", " "), length)


@contextlib.contextmanager
def _as_styled() -> Iterator[None]:
    """Let Optuna draw in the style in force: it asks Matplotlib for "ggplot", which changes nothing meanwhile."""
    known = mpl.style.library["ggplot"]
    mpl.style.library["ggplot"] = mpl.RcParams()
    try:
        with warnings.catch_warnings(action="ignore"):  # of features called experimental, and of axes with one value
            yield
    finally:
        mpl.style.library["ggplot"] = known


def _floor(results: StudyResults) -> float:
    """Return the lowest accuracy shown, in percent: a trial that learnt nothing would squeeze the others together."""
    return _lowest(100 * max(trial.values[0] for trial in results.complete), WORST_SHOWN)


def _lowest(best: float, times: float) -> float:
    """Return the accuracy, in percent, of a network with `times` the errors of the best."""
    return max(0.0, 100 - times * max(100 - best, 0.02))


def _copy_trial(trial: FrozenTrial, known: TrialResult, floor: float) -> FrozenTrial:
    short = {name: name_setting(name) for name in trial.params}
    return create_trial(
        value=max(100 * (known.accuracy or 0.0), floor),
        params={short[name]: value for name, value in trial.params.items()},
        distributions={short[name]: distribution for name, distribution in trial.distributions.items()},
        intermediate_values={epoch: 100 * value for epoch, value in enumerate(known.accuracies, start=1)},
        constraints={"pruned": 1.0} if known.state == "pruned" else None,
    )


def _restyle_slice(axes: Axes, name: str, best: FrozenTrial, is_first: bool) -> None:
    axes.set_title(name_setting(name, 26), fontsize=9)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(labelbottom=True, labelleft=is_first)
    axes.grid(axis="y")
    for dots in axes.collections:
        dots.set(sizes=[18], linewidths=0.5)
    value = best.params.get(name)
    if any(text.startswith("'") for text in _labels(axes)):  # options, which Optuna writes as Python does
        axes.set_xticks(axes.get_xticks(), [text.strip("'") for text in _labels(axes)], fontsize=8)
        value = value and repr(value)
    elif axes.get_xscale() == "log":
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    if value is not None:
        _ring(axes, value, best)


def _ring(axes: Axes, x: Any, best: FrozenTrial) -> None:
    label = f"best, trial {best.number}: {best.values[0]:.2f} %"
    axes.plot([x], [best.values[0]], "o", fillstyle="none", color=WRONG, markersize=9, mew=1.6, zorder=4, label=label)


def _limit(axes: Axes, low: float, high: float) -> None:
    margin = 0.05 * (high - low) + 0.01
    axes.set_ylim(low - margin, high + margin)


def _labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None  # noqa: S101 - Optuna has just made it
    return figure


def _finish(axes: Axes, size: tuple[float, float], *, title: str = "", x: str = "", y: str = _ACCURACY) -> Figure:
    """Set the size, the texts and the single legend of this package's pictures in Optuna's figure."""
    figure = _figure(axes)
    plt.close(figure)  # Optuna makes its figures with pyplot, which keeps them
    figure.set_layout_engine("constrained")
    figure.set_size_inches(size)
    if axes.get_legend():
        axes.legend().remove()
    for dots in axes.collections:
        if str(dots.get_label()) in _LOOKS:
            label, colour = _LOOKS[str(dots.get_label())]
            dots.set(label=label if np.size(dots.get_offsets()) else "", color=colour)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=6)
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(title, fontsize=9)
    return figure
