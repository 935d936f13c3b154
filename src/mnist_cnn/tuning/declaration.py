"""Spaces in files: a small TOML declaration becomes a `Space`, or a message that says what is wrong with it.

    [limits]                                   # a larger network is turned down before it is trained
    parameters = 459_210

    [settings]                                 # by their dotted names, as for `train --set`
    "training.loss" = "one-hot"                                            # the same in every trial
    "optimizer.learning_rate" = { low = 1e-3, high = 2e-2, log = true }    # a number from a range
    "training.batch_size" = { choices = [64, 128, 256] }                   # one of several values
    "model.arguments.filters" = [{ low = 8, high = 32, step = 8 }, { low = 16, high = 64, step = 16 }]

    [[conditional]]                            # only in trials in which `when` holds
    when = { "optimizer.schedule" = ["cosine", "one-cycle"] }
    "optimizer.warmup" = { low = 0.0, high = 0.4 }

Spaces that ship lie in `spaces/`.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mnist_cnn.config import Config, flatten, setting_names
from mnist_cnn.errors import InputError, suggest
from mnist_cnn.tuning.space import Choice, Part, Range, Setting, Space, configure, suggest_settings

DEFAULT_SPACE = "default"

_LIMITS = {"parameters", "multiply_adds"}
_RANGE_KEYS = {"low", "high", "step", "log"}
_ARGUMENTS = "model.arguments."


def space_names() -> list[str]:
    """Give the names of the spaces that ship with the package."""
    folder = resources.files("mnist_cnn") / "spaces"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_space(name: str) -> Space:
    """Read a space by its name, or by the path of a TOML file.

    Raises:
        InputError: There is no such space, or the file declares none.
    """
    if name in space_names():
        return _parse_toml((resources.files("mnist_cnn") / "spaces" / f"{name}.toml").read_text("utf-8"), name)
    path = Path(name)
    if path.suffix != ".toml":
        raise InputError(f"there is no space {name!r}. {suggest(name, space_names())} Or name a TOML file.")
    try:
        return _parse_toml(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the space file {path} cannot be read: {error}.") from None


def parse_space(values: Mapping[str, Any], origin: str) -> Space:
    """Build a space from nested dictionaries.

    Args:
        values: As read from TOML.
        origin: What to call it in an error message, such as the file's path.

    Raises:
        InputError: An unknown key or setting, or something that is neither range, choice nor value.
    """
    _check_keys(values, {"title", "limits", "settings", "conditional"}, origin)
    limits, settings, conditional = (
        values.get(key, default) for key, default in (("limits", {}), ("settings", {}), ("conditional", []))
    )
    _check_keys(limits, _LIMITS, f"{origin}: limits")
    for table in (settings, *conditional):
        _check_keys(table, None, origin)
    blocks = [{"when": {}, **settings}, *conditional]
    repeated = Counter(name for block in blocks for name in block if name != "when")
    parts = tuple(_parse_part(block, repeated, origin) for block in blocks)
    if not any(True for part in parts for setting in part.settings for _ in setting.domains()):
        raise InputError(f"{origin}: nothing may vary. Give a setting a range: {{ low = 0.0, high = 0.5 }}.")
    return Space(str(values.get("title", "")), dict(limits), parts, dict(values))


def check_space(space: Space, base: Config) -> None:
    """See that every value that the space can give makes a valid configuration of `base`.

    Each setting's extreme values are tried with every other setting at its first one.

    Raises:
        InputError: One does not; the message names the setting and the value.
    """
    for part in space.parts:
        for setting in part.settings:
            for name, domain, _ in setting.domains():
                for value in domain.extremes():
                    configure(base, suggest_settings(space, _Fixed({**_demanded(space, part), name: value})))


class _Fixed:
    """Chooses given values, and otherwise the first one."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        del high, step, log
        return self._values.get(name, low)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        del high, step, log
        return self._values.get(name, low)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self._values.get(name, choices[0])
        return value if value in choices else json.dumps(value)


def _demanded(space: Space, part: Part) -> dict[str, Any]:
    """Give the choices under which `part` applies."""
    settings = [setting for other in space.parts for setting in other.settings if setting.name in part.when]
    return {setting.label: part.when[setting.name][0] for setting in settings}


def _parse_toml(text: str, origin: str) -> Space:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{origin} is not valid TOML: {error}.") from None
    return parse_space(values, origin)


def _parse_part(block: Mapping[str, Any], repeated: Counter[str], origin: str) -> Part:
    if "when" not in block:
        raise InputError(
            f'{origin}: a [[conditional]] has no `when`. Write: when = {{ "model.architecture" = "vgg" }}.'
        )
    when = {name: tuple(value) if isinstance(value, list) else (value,) for name, value in block["when"].items()}
    for name in [*when, *block]:
        if name != "when":
            _check_name(name, origin)
    condition = ", ".join(str(value) for values in when.values() for value in values)
    settings = []
    for name, value in block.items():
        if name != "when":
            label = f"{name} ({condition})" if repeated[name] > 1 and condition else name
            settings.append(Setting(name, label, _parse_content(name, value, origin)))
    return Part(when, tuple(settings))


def _check_name(name: str, origin: str) -> None:
    if not name.startswith(_ARGUMENTS) and name not in setting_names():
        raise InputError(f"{origin}: there is no setting {name!r}. {suggest(name, setting_names())}")


def _parse_content(name: str, value: Any, origin: str) -> Any:
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return tuple(_parse_content(f"{name}[{index}]", part, origin) for index, part in enumerate(value))
    if not isinstance(value, dict):
        return value
    if "choices" in value:
        _check_keys(value, {"choices"}, f"{origin}: {name}")
        if not isinstance(value["choices"], list) or not value["choices"]:
            raise InputError(f"{origin}: {name}: choices = {value['choices']!r} is no list of values.")
        return Choice(tuple(value["choices"]))
    return _parse_range(name, value, origin)


def _parse_range(name: str, value: Mapping[str, Any], origin: str) -> Range:
    where = f"{origin}: {name}"
    _check_keys(value, _RANGE_KEYS | {"choices"}, where)
    numbers = {key: value.get(key) for key in ("low", "high", "step")}
    for key, number in numbers.items():
        if not _is_number(number) and not (key == "step" and number is None):
            raise InputError(f"{where}: {key} = {number!r} is no number. Write: {{ low = 0.0, high = 0.5 }}.")
    low, high, step, log = value["low"], value["high"], value.get("step"), value.get("log", False)
    if not isinstance(log, bool):
        raise InputError(f"{where}: log = {log!r} is neither true nor false.")
    if low > high:
        raise InputError(f"{where}: low = {low} is above high = {high}.")
    if log and (low <= 0 or step is not None):
        raise InputError(f"{where}: a logarithmic range needs low > 0 and no step, got low = {low}, step = {step}.")
    if step is not None and step <= 0:
        raise InputError(f"{where}: step = {step} is not above 0.")
    default = dict(flatten(Config().to_dict())).get(name)
    whole = all(isinstance(number, int) for number in (low, high, step or 0)) and not isinstance(default, float)
    return Range(low, high, step, log, whole)


def _check_keys(values: Any, valid: set[str] | None, where: str) -> None:
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: {values!r} is no table of settings.")
    for key in values:
        if valid is not None and key not in valid:
            raise InputError(f"{where}: there is no key {key!r}. {suggest(key, valid)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
