"""A search on the terminal: a live table, or one line per finished trial if the output is not a terminal."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mnist_cnn.cli.terminal import Terminal

if TYPE_CHECKING:
    from mnist_cnn.tuning.bounds import Limits
    from mnist_cnn.tuning.results import StudyResults, TrialResult

_ROWS = 15  # latest finished trials in the live table
_STYLES = {"running": "bold cyan", "complete": "green", "pruned": "dim", "failed": "red", "waiting": "yellow"}
_OVER = ("complete", "pruned", "failed")


class TrialsView:
    """Shows the state of a study each time `show` is called."""

    def __init__(self, terminal: Terminal, limits: Limits) -> None:
        """Prepare the view; `limits` is what is left for this session."""
        self._terminal = terminal
        self._limits = limits
        self._began = time.monotonic()
        self._shown: set[int] | None = None  # trials that have their line; None before the first look
        self._live = Live(console=terminal.console, auto_refresh=False, transient=False)

    def __enter__(self) -> TrialsView:
        if self._terminal.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, results: StudyResults) -> None:
        """Redraw the table, or print the lines of the trials that have ended."""
        if self._live.is_started:
            self._live.update(self._picture(results), refresh=True)
            return
        over = {trial.number for trial in results.trials if trial.state in _OVER}
        for trial in results.trials:
            if self._shown is not None and trial.number in over - self._shown:
                self._terminal.say(describe_trial(trial, results))
        self._shown = over

    def _picture(self, results: StudyResults) -> RenderableType:
        over = [trial for trial in results.trials if trial.state in _OVER]
        others = [trial for trial in results.trials if trial.state not in _OVER]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        costs = [name for name in results.objectives[1:] if name != "parameters"]
        for column in ("trial", "state", "accuracy", "epochs", "parameters", "s/epoch", *costs):
            table.add_column(column, justify="left" if column == "state" else "right")
        table.add_column("choices", no_wrap=True, overflow="ellipsis", ratio=1)
        for trial in [*over[-_ROWS:], *others]:
            best = results.best is not None and trial.number == results.best.number
            cells = map(Text, _cells(trial, results))  # plain, since a reason may look like Rich's markup
            table.add_row(*cells, style="bold green" if best else _STYLES[trial.state])
        return Group(table, Text(self._summary(results)))

    def _summary(self, results: StudyResults) -> str:
        trials = f" of {self._limits.trials:.0f}" if self._limits.trials < math.inf else ""
        until = f" of {_clock(self._limits.seconds)}" if self._limits.seconds < math.inf else ""
        best = _best(results) or "  none complete yet"
        return f"{_clock(time.monotonic() - self._began)}{until}  {results.ended}{trials} trials{best}"


def describe_trial(trial: TrialResult, results: StudyResults) -> str:
    """Describe a finished trial in a line."""
    epochs = len(trial.accuracies)
    accuracy = (
        "no epoch" if trial.accuracy is None else f"{trial.accuracy:.2%} after {epochs} epoch{'s' * (epochs > 1)}"
    )
    seconds = "" if trial.seconds is None else f", {trial.seconds:.0f} s"
    reason = f"  {trial.reason}" if trial.reason else ""
    return f"trial {trial.number:>3}  {trial.state:<8}  {accuracy}{seconds}{reason}{_best(results)}"


def _best(results: StudyResults) -> str:
    return f"  best {results.best.values[0]:.2%} (trial {results.best.number})" if results.best else ""


def _cells(trial: TrialResult, results: StudyResults) -> list[str]:
    costs = [place for place, name in enumerate(results.objectives) if place and name != "parameters"]
    return [
        str(trial.number),
        trial.state,
        "–" if trial.accuracy is None else f"{trial.accuracy:.2%}",
        f"{len(trial.accuracies)}/{results.epochs}",
        "–" if trial.parameters is None else f"{trial.parameters:,}",
        "–" if trial.seconds_per_epoch is None else f"{trial.seconds_per_epoch:.1f}",
        *(f"{trial.values[place]:.4g}" if trial.values else "–" for place in costs),
        trial.reason or ", ".join(_short(value) for value in trial.choices.values()),
    ]


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
