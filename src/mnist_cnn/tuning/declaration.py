"""Spaces in files: a small TOML declaration becomes a `Space`, or an error that says what is wrong with it.

    [limits]                                   # larger networks are rejected before training
    parameters = 459_210

    [settings]                                 # by dotted name, as in `train --set`
    "training.loss" = "one-hot"                                            # the same in every trial
    "optimizer.learning_rate" = { low = 1e-3, high = 2e-2, log = true }    # a number from a range
    "training.batch_size" = { choices = [64, 128, 256] }                   # one of several values
    "model.arguments.filters" = [{ low = 8, high = 32, step = 8 }, { low = 16, high = 64, step = 16 }]

    [[conditional]]                            # only in trials that fulfil `when`
    when = { "optimizer.schedule" = ["cosine", "one-cycle"] }
    "optimizer.warmup" = { low = 0.0, high = 0.4 }

The package's own spaces are in `spaces/`.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mnist_cnn.config import Config, current_name, flatten, setting_names
from mnist_cnn.errors import SettingError, suggest
from mnist_cnn.tuning.space import Choice, Part, Range, Setting, Space, configure, suggest_settings

DEFAULT_SPACE = "default"

_LIMITS = {"parameters", "multiply_adds"}
_RANGE_KEYS = {"low", "high", "step", "log"}
_JUDGING = {"training.seed", "training.epochs"}  # and all of `data`: trials that differ in these are not comparable
_ARGUMENTS = "model.arguments."


def space_names() -> list[str]:
    """Return the names of the package's own spaces."""
    folder = resources.files("mnist_cnn.tuning") / "spaces"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_space(name: str) -> Space:
    """Read a space by its name, or by the path of a TOML file.

    Raises:
        SettingError: There is no such space, or the file is not valid.
    """
    if name in space_names():
        return _parse_toml((resources.files("mnist_cnn.tuning") / "spaces" / f"{name}.toml").read_text("utf-8"), name)
    path = Path(name)
    if path.suffix != ".toml":
        raise SettingError(f"there is no space {name!r}. {suggest(name, space_names())} Or give a TOML file.")
    try:
        return _parse_toml(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"the space file {path} cannot be read: {error}.") from None


def parse_space(values: Mapping[str, Any], origin: str) -> Space:
    """Build a space from nested dictionaries.

    Args:
        values: As read from TOML.
        origin: What to call it in an error message, such as the file's path.

    Raises:
        SettingError: A key or setting is unknown, a range or choice is not valid, a condition is never true, or a
            setting decides how trials are judged.
    """
    _check_keys(values, {"title", "limits", "settings", "conditional"}, origin)
    limits, settings, conditional = (
        values.get(key, default) for key, default in (("limits", {}), ("settings", {}), ("conditional", []))
    )
    _check_limits(limits, origin)
    if not isinstance(conditional, list):
        raise SettingError(f"{origin}: conditional is not a list. Write [[conditional]] above each block.")
    for table in (settings, *conditional):
        _check_keys(table, None, origin)
    blocks = [{"when": {}, **settings}, *conditional]
    repeated = Counter(name for block in blocks for name in block if name != "when")
    parts: list[Part] = []
    for block in blocks:
        part = _parse_part(block, repeated, origin)
        _check_condition(part, parts, origin)
        parts.append(part)
    if not any(True for part in parts for setting in part.settings for _ in setting.domains()):
        raise SettingError(f"{origin}: no setting varies. Give one a range: {{ low = 0.0, high = 0.5 }}.")
    return Space(str(values.get("title", "")), dict(limits), tuple(parts), dict(values))


def check_space(space: Space, base: Config) -> None:
    """Check that every value of the space gives a valid configuration of `base`.

    Raises:
        SettingError: One does not; the error names the setting and the value.
    """
    corner_configs(space, base)


def corner_configs(space: Space, base: Config) -> list[Config]:
    """Return the configurations in which one setting has an extreme value, and every other setting its first value.

    Raises:
        SettingError: One is not valid; the error names the setting and the value.
    """
    return [
        configure(base, suggest_settings(space, _Fixed({**_ways(part, space.parts[:index])[0], name: value})))
        for index, part in enumerate(space.parts)
        for setting in part.settings
        for name, domain, _ in setting.domains()
        for value in domain.extremes()
    ]


class _Fixed:
    """Chooses the given values, and otherwise the first."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def suggest_float(self, name: str, low: float, *_: Any, **__: Any) -> Any:
        return self._values.get(name, low)

    suggest_int = suggest_float

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._values.get(name, choices[0])


def _ways(part: Part, earlier: Sequence[Part]) -> list[dict[str, Any]]:
    """Return every set of choices under which `part` applies; its condition may depend on conditional settings."""
    ways: list[dict[str, Any]] = [{}]
    for name, options in part.when.items():
        ways = [{**way, **more} for way in ways for more in _ways_to(name, options, earlier) if _agree(way, more)]
    return ways


def _ways_to(name: str, options: Sequence[Any], parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    for index, part in enumerate(parts):
        for setting in part.settings:
            for option in options if setting.name == name else ():
                if setting.can_be(option):
                    yield from ({**way, **setting.find(option)} for way in _ways(part, parts[:index]))


def _agree(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return all(first[name] == second[name] for name in first.keys() & second.keys())


def _parse_toml(text: str, origin: str) -> Space:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{origin} is not valid TOML: {error}.") from None
    return parse_space(values, origin)


def _parse_part(block: Mapping[str, Any], repeated: Counter[str], origin: str) -> Part:
    if not isinstance(block.get("when"), Mapping):
        raise SettingError(
            f'{origin}: a [[conditional]] lacks the table `when`. Write: when = {{ "model.architecture" = "vgg" }}.'
        )
    when = {
        current_name(name): tuple(value) if isinstance(value, list) else (value,)
        for name, value in block["when"].items()
    }
    for name in block:
        if name != "when":
            _check_name(current_name(name), origin)
    condition = ", ".join(str(value) for values in when.values() for value in values)
    settings = []
    for name, value in block.items():
        if name != "when":
            label = f"{name} ({condition})" if repeated[name] > 1 and condition else name
            # The label stays as declared, because earlier trials of the search have it.
            settings.append(Setting(current_name(name), label, _parse_content(current_name(name), value, origin)))
    return Part(when, tuple(settings))


def _check_limits(limits: Any, origin: str) -> None:
    _check_keys(limits, _LIMITS, f"{origin}: limits")
    for name, limit in limits.items():
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise SettingError(f"{origin}: limits: {name} = {limit!r} is not a positive integer such as 459_210.")


def _check_condition(part: Part, earlier: Sequence[Part], origin: str) -> None:
    for name, options in part.when.items():
        drawn = [setting for other in earlier for setting in other.settings]
        named = [setting for setting in drawn if setting.name == name]
        if not named:
            hint = suggest(name, {setting.name for setting in drawn}) if drawn else ""
            raise SettingError(
                f"{origin}: when: {name!r} is not declared above. Declare it in [settings]. {hint}".rstrip()
            )
        for option in options:
            if not any(setting.can_be(option) for setting in named):
                raise SettingError(f"{origin}: when: {name} is never {option!r}. {_suggest_value(option, named)}")
    if not _ways(part, earlier):
        raise SettingError(f"{origin}: when = {dict(part.when)} is never true: no trial has all these values.")


def _suggest_value(value: Any, settings: Sequence[Setting]) -> str:
    domains = [domain for setting in settings for _, domain, _ in setting.domains()]
    labels = [str(label) for domain in domains if isinstance(domain, Choice) for label in domain.labels]
    return suggest(str(value), labels) if labels else "Use one of its possible values."


def _check_name(name: str, origin: str) -> None:
    if name.startswith("data.") or name in _JUDGING:
        raise SettingError(
            f"{origin}: {name} decides how trials are judged, so a space cannot vary it. Use --set {name}=… instead."
        )
    if not name.startswith(_ARGUMENTS) and name not in setting_names():
        raise SettingError(f"{origin}: there is no setting {name!r}. {suggest(name, setting_names())}")


def _parse_content(name: str, value: Any, origin: str) -> Any:
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return tuple(_parse_content(f"{name}[{index}]", part, origin) for index, part in enumerate(value))
    if not isinstance(value, dict):
        return value
    if "choices" in value:
        _check_keys(value, {"choices"}, f"{origin}: {name}")
        if not isinstance(value["choices"], list) or not value["choices"]:
            raise SettingError(f"{origin}: {name}: choices = {value['choices']!r} is not a list of values.")
        return Choice(tuple(value["choices"]))
    return _parse_range(name, value, origin)


def _parse_range(name: str, value: Mapping[str, Any], origin: str) -> Range:
    where = f"{origin}: {name}"
    _check_keys(value, _RANGE_KEYS | {"choices"}, where)
    numbers = {key: value.get(key) for key in ("low", "high", "step")}
    for key, number in numbers.items():
        if not _is_number(number) and not (key == "step" and number is None):
            raise SettingError(f"{where}: {key} = {number!r} is not a number. Write: {{ low = 0.0, high = 0.5 }}.")
    low, high, step, log = value["low"], value["high"], value.get("step"), value.get("log", False)
    if not isinstance(log, bool):
        raise SettingError(f"{where}: log = {log!r} is neither true nor false.")
    if low > high:
        raise SettingError(f"{where}: low = {low} is above high = {high}.")
    if log and (low <= 0 or step is not None):
        raise SettingError(f"{where}: a logarithmic range needs low > 0 and no step, got low = {low}, step = {step}.")
    if step is not None and step <= 0:
        raise SettingError(f"{where}: step = {step} is not above 0.")
    default = dict(flatten(Config().to_dict())).get(name)
    whole = all(isinstance(number, int) for number in (low, high, step or 0)) and not isinstance(default, float)
    return Range(low, high, step, log, whole)


def _check_keys(values: Any, valid: set[str] | None, where: str) -> None:
    if not isinstance(values, Mapping):
        raise SettingError(f"{where}: {values!r} is not a table of settings.")
    for key in values:
        if valid is not None and key not in valid:
            raise SettingError(f"{where}: there is no key {key!r}. {suggest(key, valid)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
