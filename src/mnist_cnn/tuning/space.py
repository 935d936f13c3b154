"""Spaces: which settings may vary, and from what each trial draws its own.

Who draws is left open: anything with the three methods of `Chooser`. Spaces are declared in files, by `declaration`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mnist_cnn.config import Config, flatten, override

_PROMISES = {"expected_accuracy": "", "expected_time": "", "parameters": 0}  # of a recipe, void where it is changed

Settings = dict[str, Any]  # dotted name → value, as `config.override` takes them


class Chooser(Protocol):
    """Who draws a trial's values; Optuna's `Trial` is one."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        """Give a number from `low` to `high`, both included."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        """Give a whole number from `low` to `high`, both included."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Give one of `choices`, which are numbers, strings or truth values."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    step: float | None  # distance of neighbours; None: any number
    log: bool  # drawn evenly by order of magnitude
    whole: bool  # whole numbers only

    def draw(self, name: str, chooser: Chooser) -> float:
        """Let `chooser` give a number."""
        if self.whole:
            return int(chooser.suggest_int(name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log))
        return float(chooser.suggest_float(name, self.low, self.high, step=self.step, log=self.log))

    def find(self, value: Any) -> float | None:
        """Give `value` as a chooser would name it; None if it is not in the range."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return None
        step = self.step or (1 if self.whole else None)
        if step and abs((value - self.low) / step - round((value - self.low) / step)) > 1e-9:
            return None
        return int(value) if self.whole else float(value)

    def extremes(self) -> tuple[Any, ...]:
        """Give values between which all others lie."""
        return (int(self.low), int(self.high)) if self.whole else (float(self.low), float(self.high))


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    options: tuple[Any, ...]

    @property
    def labels(self) -> tuple[Any, ...]:
        """The options as numbers, strings and truth values: what else there is, a list of filters say, as JSON."""
        if all(isinstance(option, str | int | float) for option in self.options):
            return self.options
        return tuple(json.dumps(option) for option in self.options)

    def draw(self, name: str, chooser: Chooser) -> Any:
        """Let `chooser` give an option."""
        return self.options[self.labels.index(chooser.suggest_categorical(name, self.labels))]

    def find(self, value: Any) -> Any:
        """Give `value` as a chooser would name it; None if it is no option."""
        return next(
            (label for label, option in zip(self.labels, self.options, strict=True) if _same(option, value)), None
        )

    def extremes(self) -> tuple[Any, ...]:
        """Give every option, as a chooser would name it."""
        return self.labels


Domain = Range | Choice


@dataclass(frozen=True)
class Setting:
    """One setting: a domain to draw from, a list that holds domains, or a value that stays."""

    name: str  # dotted, such as `model.arguments.filters`
    label: str  # what a chooser knows it by: the name, with its condition where that is needed to tell two apart
    content: Any  # a Domain, a tuple with Domains in it, or a plain value

    def draw(self, chooser: Chooser) -> Any:
        """Give the setting's value for one trial."""
        if isinstance(self.content, tuple):
            return [_draw(part, f"{self.label}[{index}]", chooser) for index, part in enumerate(self.content)]
        return _draw(self.content, self.label, chooser)

    def domains(self) -> Iterator[tuple[str, Domain, int | None]]:
        """Give every domain with the name that choosers know it by, and its place if it is in a list."""
        if isinstance(self.content, tuple):
            for index, part in enumerate(self.content):
                if isinstance(part, Domain):
                    yield f"{self.label}[{index}]", part, index
        elif isinstance(self.content, Domain):
            yield self.label, self.content, None

    def can_be(self, value: Any) -> bool:
        """Say whether a trial may have this value."""
        if not isinstance(self.content, tuple):
            return _can_be(self.content, value)
        fits = isinstance(value, list) and len(value) == len(self.content)
        return fits and all(map(_can_be, self.content, value))

    def find(self, value: Any) -> dict[str, Any]:
        """Give what a chooser would have had to choose to arrive at `value`, as far as that is possible."""
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
    """Settings that belong together under one condition."""

    when: Mapping[str, tuple[Any, ...]]  # setting → values of which it must have one; empty: always
    settings: tuple[Setting, ...]

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Say whether these values, of a trial or a configuration, fulfil the condition."""
        return all(any(_same(values.get(name), wanted) for wanted in options) for name, options in self.when.items())


@dataclass(frozen=True)
class Space:
    """What may be searched."""

    title: str
    limits: Mapping[str, int]  # of a network: at most so many `parameters` and `multiply_adds` an image
    parts: tuple[Part, ...]  # the unconditional one first
    declaration: Mapping[str, Any]  # what the file says, from which `declaration.parse_space` makes an equal space


def suggest_settings(space: Space, chooser: Chooser) -> Settings:
    """Draw the settings of one trial, in the order of the declaration."""
    settings: Settings = {}
    for part in space.parts:
        if part.applies(settings):
            settings |= {setting.name: setting.draw(chooser) for setting in part.settings}
    return settings


def configure(base: Config, settings: Mapping[str, Any]) -> Config:
    """Put a trial's settings into the base configuration.

    Another architecture than the base's does not inherit its arguments, and nobody inherits what the base promises.

    Raises:
        InputError: An unknown setting, or settings that do not go together.
    """
    architecture = settings.get("model.architecture", base.model.architecture)
    fresh: Settings = {} if architecture == base.model.architecture else {"model.arguments": {}}
    return override(base, {**_PROMISES, **fresh, **settings})


def starting_point(space: Space, base: Config) -> dict[str, Any]:
    """Give what a chooser would have had to choose to arrive at `base`, as far as the space knows its values.

    A search that begins there need not find again what is known to be good.
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
    # 1 == True in Python, and a search over truth values must not take them for numbers.
    return bool(first == second) and isinstance(first, bool) == isinstance(second, bool)
