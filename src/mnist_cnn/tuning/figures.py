"""How a search went: its course, which settings mattered, what was tried, what accuracy costs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from mnist_cnn.evaluation.figures.learning import ACCURACY_TICKS, SMALLEST_ERROR, error_steps, steps_to_accuracy
from mnist_cnn.evaluation.figures.style import MUTED, PAPER, RIGHT, RULE, TEXT, WRONG, shorten, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORST_SHOWN = 6  # times the errors of the best trial: what is worse is drawn at the edge
BARS = 12
SLICES, SLICE_COLUMNS = 16, 4
COORDINATES = 9

_FINE_TICKS = (98.5, 99.2, 99.4, 99.6, 99.7, 99.3, 99.1)  # percent, where the usual ones are too few
_TICK_DISTANCE = 0.13  # of the axis
_LEGEND = ("complete", "Pareto", "another", "pruned", "failed", "worse", "best so far", "best")  # the order of entries
_MISSING = -0.14  # height of the rail for settings that a trial does not have
_GOOD = LinearSegmentedColormap.from_list("good", ["#DCE6EE", "#7FB6D6", RIGHT])
_SECTION = re.compile(r"^(?:[a-z_]+\.)+")
_CONDITIONAL = re.compile(r"(?P<name>[^ ]+)(?P<condition> \(.*\))(?P<place>(\[\d+\])?)")


class Trial(Protocol):
    """What the pictures need to know of a trial."""

    @property
    def number(self) -> int:
        """From 0, in the order in which trials began."""

    @property
    def state(self) -> str:
        """Such as "complete", "pruned" or "failed"."""

    @property
    def accuracy(self) -> float | None:
        """On the validation images: what it came to, or what it had reached when it ended."""

    @property
    def accuracies(self) -> Sequence[float]:
        """The same after each epoch."""

    @property
    def choices(self) -> Mapping[str, Any]:
        """Setting → number, string or truth value."""


@styled
def search_history(trials: Sequence[Trial], best: int) -> Figure:
    """Draw what each trial came to, in their order, and the best so far.

    Args:
        trials: By their number; at least one is complete.
        best: The number of the best one.
    """
    figure = Figure(figsize=(9, 3.4))
    axes = figure.subplots()
    floor = _scale_accuracy(axes, trials)
    _draw_dots(axes, [(trial.number, trial) for trial in trials], floor, best)
    complete = _of_state(trials, "complete")
    record = np.maximum.accumulate([max(_percent(trial), floor) for trial in complete])
    last = max(trial.number for trial in trials if trial.state in ("complete", "pruned", "failed"))
    steps = [*(trial.number for trial in complete), last]
    axes.step(steps, [*record, record[-1]], where="post", color=TEXT, linewidth=1.2, zorder=1.5, label="best so far")
    if failed := [trial.number for trial in trials if trial.state == "failed"]:
        axes.plot(failed, [0.02] * len(failed), "x", color=WRONG, markersize=6, mew=1.6, label="failed",
                  transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
    axes.set_xlim(-0.7, last + 0.7)
    axes.set_xlabel("trial")
    axes.grid(axis="y")
    _legend_above(axes)
    return figure


@styled
def trial_curves(trials: Sequence[Trial], best: int) -> Figure:
    """Draw the validation accuracy of every trial after each epoch; arguments as for `search_history`."""
    figure = Figure(figsize=(9, 3.4))
    axes = figure.subplots()
    _scale_accuracy(axes, trials, curves=True)
    for trial in sorted(trials, key=lambda trial: (trial.number == best, trial.state == "complete")):
        _draw_curve(axes, trial, best)
    axes.legend(*_all_handles([axes]), loc="lower right")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
    axes.grid(axis="y")
    return figure


@styled
def setting_importance(shares: Mapping[str, float], chance: Mapping[str, float]) -> Figure:
    """Draw the share of the differences between trials that each setting explains, the largest first.

    Args:
        shares: Setting → 0 … 1.
        chance: Setting → the share up to which there may be nothing to explain.
    """
    rows = sorted(shares, key=lambda name: -shares[name])[:BARS]
    figure = Figure(figsize=(6.4, 0.8 + 0.27 * len(rows)))
    axes = figure.subplots()
    places, widths, bands = range(len(rows)), [shares[name] for name in rows], [chance[name] for name in rows]
    axes.barh(places, bands, height=0.7, color=RULE, label="as far as chance goes")
    colours = [RIGHT if width > band else MUTED for width, band in zip(widths, bands, strict=True)]
    axes.barh(places, widths, height=0.34, color=colours)
    for place, width in zip(places, widths, strict=True):
        axes.annotate(f"{100 * width:.0f} %", (width, place), (4, 0), textcoords="offset points", va="center",
                      fontsize=8.5, color=TEXT)  # fmt: skip
    axes.set_yticks(places, [name_setting(name, 32) for name in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.12 * max(*widths, *bands), 1e-6))
    axes.set_xticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    return figure


@styled
def setting_slices(trials: Sequence[Trial], names: Sequence[str], logarithmic: Collection[str], best: int) -> Figure:
    """Draw accuracy against each setting in turn.

    Args:
        trials: By their number; at least one is complete.
        names: Of the settings, the most interesting first; at most `SLICES` are shown.
        logarithmic: Names of the settings that were drawn evenly by order of magnitude.
        best: The number of the best trial.
    """
    names = names[:SLICES]
    columns = min(SLICE_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(max(2.25 * columns, 4), 0.35 + 1.8 * rows))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        floor = _scale_accuracy(axes, trials)
        given = [trial for trial in trials if name in trial.choices]
        places = _place(axes, [trial.choices[name] for trial in given], name in logarithmic)
        _draw_dots(axes, list(zip(places, given, strict=True)), floor, best, size=4.5, label_best=False)
        axes.set_title(name_setting(name, 26), fontsize=9)
        axes.grid(axis="y")
    for unused in panels[len(names) :]:
        unused.set_axis_off()
    figure.legend(*_all_handles(figure.axes), loc="outside upper left", ncols=4)
    return figure


@styled
def parallel_coordinates(
    trials: Sequence[Trial], names: Sequence[str], logarithmic: Collection[str], best: int
) -> Figure:
    """Draw each complete trial as a line through its settings to its accuracy; arguments as for `setting_slices`."""
    names = names[:COORDINATES]
    complete = sorted(_of_state(trials, "complete"), key=_percent)
    figure = Figure(figsize=(9, 4.3))
    axes = figure.subplots()
    heights = [_spread(axes, place, name, complete, name in logarithmic) for place, name in enumerate(names)]
    accuracies = _draw_result_axis(axes, len(names), complete)
    lines = np.array([*heights, accuracies]).T  # [trials, settings + 1]
    for trial, line, shade in zip(complete, lines, accuracies, strict=True):
        chosen = trial.number == best
        style: dict[str, Any] = {"color": WRONG, "linewidth": 2.2} if chosen else {"color": _GOOD(shade)}
        axes.plot(line, **{"linewidth": 1.1, "alpha": 0.95, **style}, zorder=3 if chosen else 2)
    axes.set_xticks(range(len(names) + 1), [*(_fold(name_setting(name, 24)) for name in names), "validation\naccuracy"])
    axes.tick_params(axis="x", length=0, pad=4)
    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.35, len(names) + 0.45)
    return figure


@styled
def accuracy_against_cost(trials: Sequence[Trial], costs: Mapping[str, Mapping[int, float]], best: int) -> Figure:
    """Draw accuracy against each cost, with the trials than which none is both cheaper and better.

    Args:
        trials: By their number; complete ones are shown.
        costs: Title → trial's number → cost above 0.
        best: The number of the best trial.
    """
    figure = Figure(figsize=(max(4.5 * len(costs), 6.2), 3.4))
    for axes, (title, known) in zip(
        figure.subplots(1, len(costs), sharey=True, squeeze=False)[0], costs.items(), strict=True
    ):
        shown = [trial for trial in _of_state(trials, "complete") if trial.number in known]
        floor = _scale_accuracy(axes, shown)
        points = [(known[trial.number], _percent(trial), trial.number) for trial in shown]
        _draw_front(axes, points, floor, best)
        _scale_cost(axes, [cost for cost, _, _ in points])
        axes.set_xlabel(title)
        axes.grid(axis="y")
    figure.legend(*_all_handles(figure.axes), loc="outside upper left", ncols=2 * len(costs))
    return figure


def name_setting(name: str, length: int = 40) -> str:
    """Give a setting's name without its section: `model.arguments.filters (vgg)[0]` is `filters[0] (vgg)`."""
    text = _SECTION.sub("", name)
    if match := _CONDITIONAL.fullmatch(text):
        text = f"{match['name']}{match['place']}{match['condition']}"
    return shorten(text.replace("_", " "), length)


def pareto_front(points: Sequence[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """Give the points (cost, accuracy, number) than which none is as cheap and more accurate, by rising cost."""
    front: list[tuple[float, float, int]] = []
    for point in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def _percent(trial: Trial) -> float:
    return 100 * (trial.accuracy or 0.0)


def _of_state(trials: Sequence[Trial], state: str) -> list[Trial]:
    return [trial for trial in trials if trial.state == state and trial.accuracy is not None]


def _scale_accuracy(axes: Axes, trials: Sequence[Trial], *, curves: bool = False) -> float:
    """Scale the y axis by the error's logarithm, and give the lowest accuracy in percent that it shows.

    A trial that learnt nothing would squeeze the others into a corner.
    """
    results = [_percent(trial) for trial in _of_state(trials, "complete")]
    error = max(100 - max(results), SMALLEST_ERROR)
    if curves:  # begin far below where they end, and may have been higher in between
        highest = max([*results, *(100 * value for trial in trials for value in trial.accuracies)])
        floor = max(100 - 3 * WORST_SHOWN * error, 0.0)
    else:
        highest = max(results)
        lowest = min(_percent(trial) for trial in trials if trial.accuracy is not None)
        floor = max(100 - WORST_SHOWN * error, lowest)
    bottom, top = 100 - 1.12 * max(100 - floor, error), 100 - 0.86 * max(100 - highest, SMALLEST_ERROR)
    axes.set_yscale("function", functions=(error_steps, steps_to_accuracy))
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_locator(FixedLocator(_choose_ticks(bottom, top)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g} %"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    return floor


def _choose_ticks(bottom: float, top: float) -> list[float]:
    """Give round accuracies in percent, the roundest first, as far as they stand apart on the scale."""
    low, high = error_steps(np.array([bottom, top]))
    chosen: dict[float, float] = {}  # tick → its place, 0 … 1
    round_enough = (*ACCURACY_TICKS, *_FINE_TICKS)
    for tick in (*round_enough, *MaxNLocator(5).tick_values(bottom, top)):
        if len(chosen) > 2 and tick not in round_enough:
            break
        place = float((error_steps(np.array(tick)) - low) / (high - low))
        if 0 <= place <= 1 and all(abs(place - other) > _TICK_DISTANCE for other in chosen.values()):
            chosen[float(tick)] = place
    return sorted(chosen)


def _draw_dots(
    axes: Axes, dots: Sequence[tuple[float, Trial]], floor: float, best: int, size: float = 5.5, label_best: bool = True
) -> None:
    looks: dict[str, dict[str, Any]] = {
        "pruned": {"color": MUTED, "fillstyle": "none", "markersize": size - 1.2, "mew": 0.9, "alpha": 0.8},
        "complete": {"color": RIGHT, "markersize": size, "mec": PAPER, "mew": 0.5},
    }
    for state, look in looks.items():
        known = [(x, _percent(trial)) for x, trial in dots if trial.state == state and trial.accuracy is not None]
        inside = [point for point in known if point[1] >= floor]
        outside = [x for x, accuracy in known if accuracy < floor]
        axes.plot(*np.array(inside).reshape(-1, 2).T, "o", label=state, **look)
        axes.plot(outside, [floor] * len(outside), "v", label="worse than shown", **look)
    chosen = [(x, trial) for x, trial in dots if trial.number == best]
    for x, trial in chosen:
        label = f"best, trial {best}{f': {_percent(trial):.2f} %' if label_best else ''}"
        _draw_ring(axes, x, _percent(trial), label, size)


def _draw_ring(axes: Axes, x: float, y: float, label: str, size: float = 6.5) -> None:
    axes.plot([x], [y], "o", fillstyle="none", color=WRONG, markersize=size + 4, mew=1.6, zorder=4, label=label)


def _all_handles(panels: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    known: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if isinstance(handle, Line2D) and len(np.asarray(handle.get_xdata())):
                known.setdefault(label, handle)
    ordered = sorted(known, key=lambda label: [label.startswith(word) for word in _LEGEND].index(True))
    return [known[label] for label in ordered], ordered


def _legend_above(axes: Axes) -> None:
    handles, labels = _all_handles([axes])
    axes.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=6, borderaxespad=0, columnspacing=1.4
    )


def _draw_curve(axes: Axes, trial: Trial, best: int) -> None:
    if not trial.accuracies or trial.state not in ("complete", "pruned"):
        return
    look: dict[str, Any] = {"color": RIGHT, "linewidth": 1, "alpha": 0.55, "label": "complete"}
    if trial.state == "pruned":
        look = {"color": MUTED, "linewidth": 0.8, "alpha": 0.5, "label": "pruned", "markevery": [-1], "marker": "o",
                "markersize": 3}  # fmt: skip
    if trial.number == best:
        look = {"color": WRONG, "linewidth": 2.2, "label": f"best, trial {best}"}
    if len(trial.accuracies) == 1:
        look |= {"marker": "o", "markersize": 3}
    axes.plot(range(1, len(trial.accuracies) + 1), [100 * value for value in trial.accuracies], **look)


def _place(axes: Axes, values: Sequence[Any], logarithmic: bool) -> list[float]:
    """Give each value's place on the x axis, and label that."""
    options = _options(values)
    if options is None:
        if logarithmic:
            _scale_log(axes, values)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        return [float(value) for value in values]
    labels = [shorten(_write(option), 12) for option in options]
    axes.set_xticks(range(len(options)), labels, fontsize=7.5 if sum(map(len, labels)) > 20 else None)
    axes.set_xlim(-0.5, len(options) - 0.5)
    # Trials of one option stand beside each other; the golden ratio spreads any number of them evenly.
    return [options.index(value) + 0.5 * ((place * 0.618034) % 1 - 0.5) for place, value in enumerate(values)]


def _options(values: Sequence[Any]) -> list[Any] | None:
    """Give the values to choose from; None where there are many numbers."""
    different = list(dict.fromkeys(values))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in different)
    if numbers and (len(different) > 4 or any(isinstance(value, float) for value in different)):
        return None
    return sorted(different, key=None if numbers else str)


def _spread(axes: Axes, place: int, name: str, trials: Sequence[Trial], logarithmic: bool) -> list[float]:
    """Draw the axis of a setting, and give each trial's height on it, 0 … 1; below where it has no such setting."""
    given = [trial.choices[name] for trial in trials if name in trial.choices]
    options = _options(given)
    axes.plot([place, place], [0, 1], color=RULE, linewidth=1.2, zorder=1)
    if options is None:
        scale = np.log if logarithmic else np.asarray
        low, high = min(given), max(given)
        width = float(scale(high) - scale(low)) or 1.0
        heights = {value: float(scale(value) - scale(low)) / width for value in given}
        labels = {heights[low]: _write(low), heights[high]: _write(high)}
    else:
        heights = {value: (index + 0.5) / len(options) for index, value in enumerate(options)}
        labels = {height: _write(value) for value, height in heights.items()}
    if len(given) < len(trials):
        labels[_MISSING] = "none"
    for height, label in labels.items():
        _write_beside(axes, place, height, shorten(label, 12))
    return [heights[trial.choices[name]] if name in trial.choices else _MISSING for trial in trials]


def _draw_result_axis(axes: Axes, place: int, trials: Sequence[Trial]) -> list[float]:
    error = max(100 - _percent(trials[-1]), SMALLEST_ERROR)
    shown = [max(_percent(trial), 100 - WORST_SHOWN * error) for trial in trials]
    steps = error_steps(np.array(shown))
    axes.plot([place, place], [0, 1], color=MUTED, linewidth=1.2, zorder=1)
    _write_beside(axes, place, 1.0, f"{_percent(trials[-1]):.2f} %")
    _write_beside(axes, place, 0.0, f"{'≤ ' if _percent(trials[0]) < shown[0] else ''}{shown[0]:.2f} %")
    return [float(step) for step in (steps - steps[0]) / (steps[-1] - steps[0] or 1)]


def _write_beside(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(x + 0.05, y, text, fontsize=8, va="center", color=TEXT, zorder=5,
              bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.8})  # fmt: skip


def _draw_front(axes: Axes, points: Sequence[tuple[float, float, int]], floor: float, best: int) -> None:
    front = pareto_front(points)
    others = [point for point in points if point not in front]
    look: dict[str, Any] = {"color": MUTED, "fillstyle": "none", "markersize": 4.5, "mew": 0.9}
    for marker, label, outside in (("o", "another is cheaper and as good", False), ("v", "worse than shown", True)):
        places = [(cost, max(accuracy, floor)) for cost, accuracy, _ in others if (accuracy < floor) is outside]
        axes.plot(*np.array(places).reshape(-1, 2).T, marker, label=label, **look)
    costs, accuracies = [cost for cost, _, _ in front], [max(accuracy, floor) for _, accuracy, _ in front]
    axes.step(costs, accuracies, where="post", color=RIGHT, linewidth=1.2)
    axes.plot(costs, accuracies, "o", color=RIGHT, markersize=6.5, mec=PAPER, mew=0.5, label="Pareto front")
    for cost, accuracy, (_, _, number) in zip(costs, accuracies, front, strict=True):
        axes.annotate(str(number), (cost, accuracy), (-4, 4), textcoords="offset points", fontsize=8, ha="right")
    for cost, accuracy, number in points:
        if number == best:
            _draw_ring(axes, cost, accuracy, f"best, trial {best}")


def _scale_cost(axes: Axes, costs: Sequence[float]) -> None:
    if max(costs) > 5 * min(costs):
        _scale_log(axes, costs)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round(value)))


def _scale_log(axes: Axes, values: Sequence[float]) -> None:
    decades = np.log10(max(values) / min(values))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 1.5 else (1,), numticks=8))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)


def _round(value: float) -> str:
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.3g}"


def _write(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _fold(text: str, width: int = 11) -> str:
    """Break a title into lines at its spaces."""
    lines = [""]
    for word in re.split(r"\s+", text):
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [*lines, word]
    return "\n".join(line for line in lines if line)
