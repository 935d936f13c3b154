"""The plan of a search: one frozen dataclass, saved in `study.json` and, for other machines, in the study."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mnist_cnn.config import Config, parse_config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import RunFolderError, SettingError, suggest
from mnist_cnn.tuning.declaration import parse_space
from mnist_cnn.tuning.space import Space

Direction = Literal["maximize", "minimize"]
SAMPLER_NAMES = ("tpe", "random")  # `strategies` builds them
PRUNER_NAMES = ("median", "hyperband", "none")


@dataclass(frozen=True)
class Goal:
    """A criterion for trials; `cost` measures it."""

    title: str  # with its unit
    direction: Direction = "minimize"


OBJECTIVES = {
    # Share of the validation images, 0 … 1, with the weights that training keeps.
    "accuracy": Goal("validation accuracy", "maximize"),
    "parameters": Goal("parameters"),
    "multiply_adds": Goal("multiply-adds per image"),
    "latency": Goal("latency (ms per image)"),  # ONNX Runtime on one thread
}


@dataclass(frozen=True)
class Plan:
    """One search, complete."""

    name: str  # of the study
    base: Config  # the recipe whose settings vary; its data set and seed are those of every trial
    space: Space
    data_checksum: str  # SHA-256 of the training data
    objectives: tuple[str, ...] = ("accuracy",)  # several give a Pareto front
    pruner: str = "median"  # one of PRUNER_NAMES
    seed: int = 0  # of the proposals
    heartbeat: int = 15  # seconds between two heartbeats of a worker, if the study is on a server
    sampler: str = "tpe"  # one of SAMPLER_NAMES

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dictionaries, ready for JSON."""
        plain = {"objectives": list(self.objectives), "space": dict(self.space.declaration)}
        return {**vars(self), **plain, "base": self.base.to_dict()}

    def check_data(self, dataset: Dataset) -> None:
        """Check that these are the training data of the search.

        Raises:
            RunFolderError: They are not.
        """
        found = dataset.checksum()
        if found != self.data_checksum:
            raise RunFolderError(
                f"the search was started with other training data (SHA-256 {self.data_checksum[:12]}…, now "
                f"{found[:12]}…). Restore the data, or start a new search."
            )


def parse_plan(values: Mapping[str, Any], origin: str) -> Plan:
    """Build a plan from the dictionaries of `Plan.to_dict`.

    Raises:
        InputError: A field is missing or not valid.
    """
    fields = {field.name: values.get(field.name, field.default) for field in dataclasses.fields(Plan)}
    if missing := [name for name in fields if name not in values and name != "sampler"]:
        raise RunFolderError(f"{origin} lacks {missing[0]!r}. Restore it, or start a new search.")
    for name, valid in (("sampler", SAMPLER_NAMES), ("pruner", PRUNER_NAMES)):
        if fields[name] not in valid:
            raise RunFolderError(f"{origin}: there is no {name} {fields[name]!r}. {suggest(str(fields[name]), valid)}")
    fields["base"] = parse_config(values["base"], f"{origin}: base")
    fields["space"] = parse_space(values["space"], f"{origin}: space")
    fields["objectives"] = parse_objectives(",".join(values["objectives"]))
    return Plan(**fields)


def parse_objectives(text: str) -> tuple[str, ...]:
    """Read objectives as the command line takes them, such as `accuracy,parameters`.

    Raises:
        SettingError: One is unknown or repeated, or accuracy is not the first.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in OBJECTIVES:
            raise SettingError(f"there is no objective {name!r}. {suggest(name, OBJECTIVES)}")
    if names[0] != "accuracy" or len(set(names)) < len(names):
        raise SettingError(
            f"objectives {text!r} are not valid: put accuracy first, and name each other objective once, as in "
            "accuracy,latency."
        )
    return names


def directions(objectives: Sequence[str]) -> list[Direction]:
    """Return the direction that improves each objective."""
    return [OBJECTIVES[name].direction for name in objectives]
