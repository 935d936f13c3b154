"""Spaces: which settings vary, and the values each trial draws from.

Anything with the three methods of `Chooser` can draw. `declaration` reads spaces from files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mnist_cnn.config import EXPECTATIONS, Config, flatten, override

Settings = dict[str, Any]  # dotted name → value, as `config.override` takes them


class Chooser(Protocol):
    """Draws a trial's values, as Optuna's `Trial` does."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        """Return a number from `low` to `high`, both included."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        """Return an integer from `low` to `high`, both included."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of `choices`, which are numbers, strings or truth values."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    step: float | None  # distance between neighbours; None: any number
    log: bool  # drawn uniformly on a logarithmic scale
    whole: bool  # integers only

    def draw(self, name: str, chooser: Chooser) -> float:
        """Let `chooser` draw a number."""
        if self.whole:
            return int(chooser.suggest_int(name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log))
        return float(chooser.suggest_float(name, self.low, self.high, step=self.step, log=self.log))

    def find(self, value: Any) -> float | None:
        """Return `value` as a chooser names it; None if it is not in the range."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return None
        step = self.step or (1 if self.whole else None)
        if step and abs((value - self.low) / step - round((value - self.low) / step)) > 1e-9:
            return None
        return int(value) if self.whole else float(value)

    def extremes(self) -> tuple[Any, ...]:
        """Return the smallest and the largest value."""
        return (int(self.low), int(self.high)) if self.whole else (float(self.low), float(self.high))


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    options: tuple[Any, ...]

    @property
    def labels(self) -> tuple[Any, ...]:
        """The options as numbers, strings and truth values; other types, such as lists, as JSON."""
        if all(isinstance(option, str | int | float) for option in self.options):
            return self.options
        return tuple(json.dumps(option) for option in self.options)

    def draw(self, name: str, chooser: Chooser) -> Any:
        """Let `chooser` draw an option."""
        return self.options[self.labels.index(chooser.suggest_categorical(name, self.labels))]

    def find(self, value: Any) -> Any:
        """Return `value` as a chooser names it; None if it is not an option."""
        return next(
            (label for label, option in zip(self.labels, self.options, strict=True) if _same(option, value)), None
        )

    def extremes(self) -> tuple[Any, ...]:
        """Return every option, as a chooser names it."""
        return self.labels


Domain = Range | Choice


@dataclass(frozen=True)
class Setting:
    """One setting: a domain to draw from, a list with domains in it, or a fixed value."""

    name: str  # dotted, such as `model.arguments.filters`
    label: str  # the name for choosers: with the condition if another part sets the same setting
    content: Any  # a Domain, a tuple with Domains in it, or a plain value

    def draw(self, chooser: Chooser) -> Any:
        """Return the setting's value for one trial."""
        if isinstance(self.content, tuple):
            return [_draw(part, f"{self.label}[{index}]", chooser) for index, part in enumerate(self.content)]
        return _draw(self.content, self.label, chooser)

    def domains(self) -> Iterator[tuple[str, Domain, int | None]]:
        """Yield every domain with its name for choosers, and its index if it is in a list."""
        if isinstance(self.content, tuple):
            for index, part in enumerate(self.content):
                if isinstance(part, Domain):
                    yield f"{self.label}[{index}]", part, index
        elif isinstance(self.content, Domain):
            yield self.label, self.content, None

    def can_be(self, value: Any) -> bool:
        """Whether a trial may have this value."""
        if not isinstance(self.content, tuple):
            return _can_be(self.content, value)
        fits = isinstance(value, list) and len(value) == len(self.content)
        return fits and all(map(_can_be, self.content, value))

    def find(self, value: Any) -> dict[str, Any]:
        """Return the choices that lead to `value`, as far as the domains allow it."""
        known = {}
        for name, domain, index in self.domains():
            if index is not None and not (isinstance(value, list) and len(value) == len(self.content)):
                return {}
            found = domain.find(value if index is None else value[index])
            if found is not None:
                known[name] = found
        return known


@dataclass(frozen=True)
class Part:
    """Settings under one condition."""

    when: Mapping[str, tuple[Any, ...]]  # setting → allowed values; empty: always
    settings: tuple[Setting, ...]

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Whether these values of a trial or a configuration fulfil the condition."""
        return all(any(_same(values.get(name), wanted) for wanted in options) for name, options in self.when.items())


@dataclass(frozen=True)
class Space:
    """Everything that may vary in a search."""

    title: str
    limits: Mapping[str, int]  #: maximum `parameters` of a network, and maximum `multiply_adds` per image
    parts: tuple[Part, ...]  #: the unconditional one first
    declaration: Mapping[str, Any]  #: the file's content, which `declaration.parse_space` turns into an equal space


def suggest_settings(space: Space, chooser: Chooser) -> Settings:
    """Draw the settings of one trial, in the order of the declaration."""
    settings: Settings = {}
    for part in space.parts:
        if part.applies(settings):
            settings |= {setting.name: setting.draw(chooser) for setting in part.settings}
    return settings


def configure(base: Config, settings: Mapping[str, Any]) -> Config:
    """Apply a trial's settings to the base configuration.

    An architecture other than the base's does not inherit its arguments. The base's expected results are dropped.

    Raises:
        SettingError: A setting is unknown, or settings conflict.
    """
    architecture = settings.get("model.architecture", base.model.architecture)
    fresh: Settings = {} if architecture == base.model.architecture else {"model.arguments": {}}
    return override(base, {**EXPECTATIONS, **fresh, **settings})


def starting_point(space: Space, base: Config) -> dict[str, Any]:
    """Return the choices that lead to `base`, as far as the space allows them.

    A search that starts there does not need to rediscover good values.
    """
    values = dict(flatten(base.to_dict()))
    known: dict[str, Any] = {}
    for part in space.parts:
        if part.applies(values):
            for setting in part.settings:
                known |= setting.find(values.get(setting.name))
    return known


def _draw(content: Any, name: str, chooser: Chooser) -> Any:
    return content.draw(name, chooser) if isinstance(content, Domain) else content


def _can_be(content: Any, value: Any) -> bool:
    return content.find(value) is not None if isinstance(content, Domain) else _same(content, value)


def _same(first: Any, second: Any) -> bool:
    # 1 == True in Python, but truth values are not numbers here.
    return bool(first == second) and isinstance(first, bool) == isinstance(second, bool)
