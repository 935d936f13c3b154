"""What a search is told: one frozen dataclass, kept in `study.json` and, for other machines, in the study itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mnist_cnn.config import Config, parse_config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import RunFolderError, SettingError, suggest
from mnist_cnn.tuning.declaration import parse_space
from mnist_cnn.tuning.space import Space

Pruner = Literal["median", "hyperband", "none"]
Direction = Literal["maximize", "minimize"]

# What a trial may be judged by: validation accuracy is the higher the better, the rest the lower.
OBJECTIVES: dict[str, Direction] = {
    "accuracy": "maximize",  # on the validation images, of the weights that training keeps; share, 0 … 1
    "parameters": "minimize",  # of the network
    "multiply_adds": "minimize",  # an image
    "latency": "minimize",  # ms an image, ONNX Runtime on one thread
}


@dataclass(frozen=True)
class Plan:
    """One search, whole."""

    name: str  # of the study
    base: Config  # the recipe whose settings are varied; its data set and seed are those of every trial
    space: Space
    data_checksum: str  # SHA-256 of the training data
    objectives: tuple[str, ...] = ("accuracy",)  # several give a Pareto front
    pruner: Pruner = "median"
    seed: int = 0  # of the proposals
    heartbeat: int = 15  # seconds between two signs of life of a worker, where the study is on a server

    def to_dict(self) -> dict[str, Any]:
        """Give nested plain dictionaries, ready for JSON."""
        return {
            "name": self.name,
            "objectives": list(self.objectives),
            "pruner": self.pruner,
            "seed": self.seed,
            "heartbeat": self.heartbeat,
            "data_checksum": self.data_checksum,
            "space": dict(self.space.declaration),
            "base": self.base.to_dict(),
        }

    def check_data(self, dataset: Dataset) -> None:
        """See that these are the training data that the search was begun with.

        Raises:
            InputError: They are not.
        """
        found = dataset.checksum()
        if found != self.data_checksum:
            raise RunFolderError(
                f"the search was begun with other training data (SHA-256 {self.data_checksum[:12]}…, here "
                f"{found[:12]}…). Restore the data, or begin a new search."
            )


def parse_plan(values: Mapping[str, Any], origin: str) -> Plan:
    """Build a plan from what `Plan.to_dict` gave.

    Raises:
        InputError: Something is missing or not valid.
    """
    try:
        return Plan(
            name=values["name"],
            base=parse_config(values["base"], f"{origin}: base"),
            space=parse_space(values["space"], f"{origin}: space"),
            data_checksum=values["data_checksum"],
            objectives=parse_objectives(",".join(values["objectives"])),
            pruner=values["pruner"],
            seed=values["seed"],
            heartbeat=values["heartbeat"],
        )
    except KeyError as error:
        raise RunFolderError(f"{origin} lacks {error}. Restore it, or begin a new search.") from None


def parse_objectives(text: str) -> tuple[str, ...]:
    """Read objectives as the command line takes them, such as `accuracy,parameters`.

    Raises:
        InputError: An unknown one, one twice, or accuracy is not the first.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in OBJECTIVES:
            raise SettingError(f"there is no objective {name!r}. {suggest(name, OBJECTIVES)}")
    if names[0] != "accuracy" or len(set(names)) < len(names):
        raise SettingError(
            f"objectives {text!r}: name accuracy first, and each other one once, as in accuracy,latency."
        )
    return names


def directions(objectives: Sequence[str]) -> list[Direction]:
    """Give the direction of each objective in which it becomes better."""
    return [OBJECTIVES[name] for name in objectives]
