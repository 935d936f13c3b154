"""Which runs can be averaged, and the settings of their ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mnist_cnn.config import Config, DataConfig, ModelConfig, load_recipe
from mnist_cnn.errors import RunFolderError, SettingError
from mnist_cnn.files import hash_file
from mnist_cnn.runs import RunFolder

FEWEST, MOST = 2, 5  # members; each adds its whole cost to every answer


def check_count(count: int) -> None:
    """Check the number of members.

    Raises:
        SettingError: It is out of range.
    """
    if not FEWEST <= count <= MOST:
        raise SettingError(
            f"an ensemble has {FEWEST} to {MOST} members, not {count}. Give that many runs, or --members with a recipe."
        )


def check_members(runs: Sequence[RunFolder]) -> None:
    """Check that an average of these runs makes sense.

    All must be finished, of the same training data and classes, and must hold out the same images, so that there are
    images which no member has been trained on, for the temperature and the rejection threshold of the ensemble.

    Raises:
        SettingError: There are too few or too many, or one is given twice or is an ensemble itself.
        RunFolderError: One is not finished, or differs from the first in its data, classes or held-out images.
    """
    check_count(len(runs))
    for run in runs:
        if sum(run.root.resolve() == other.root.resolve() for other in runs) > 1:
            raise SettingError(f"{run.root} is given twice. Give each member once.")
        _check_finished(run)
    _check_distinct(runs)
    first = runs[0]
    for run in runs[1:]:
        _check_same(first, run, "training data", lambda run: str(_data_of(run)["sha256"][:12]))
        _check_same(first, run, "classes", lambda run: ", ".join(_data_of(run)["classes"]))
        _check_same(first, run, "held-out images", _describe_split)


def ensemble_config(members: Sequence[str], config: Config) -> Config:
    """Return the settings of an ensemble.

    Args:
        members: Paths of its members, absolute or relative to the folder of the ensemble.
        config: Of one of the members.
    """
    return Config(
        title=f"An ensemble of {len(members)} networks",
        data=_split_of(config.data),
        model=ModelConfig(average=tuple(members)),
    )


def _check_finished(run: RunFolder) -> None:
    if not run.finished:
        raise RunFolderError(f"{run.root} is not finished. Continue it with: {run.resume_command}")
    if load_recipe(str(run.config)).model.average:
        raise SettingError(f"{run.root} is an ensemble itself. Give its members instead.")


def _check_distinct(runs: Sequence[RunFolder]) -> None:
    hashes: dict[str, RunFolder] = {}
    for run in runs:
        other = hashes.setdefault(hash_file(run.model), run)
        if other is not run:
            raise SettingError(
                f"{other.root} and {run.root} contain the same network. Give runs that differ, such as in their seed."
            )


def _check_same(first: RunFolder, run: RunFolder, what: str, describe: Callable[[RunFolder], str]) -> None:
    one, other = describe(first), describe(run)
    if one != other:
        raise RunFolderError(
            f"{first.root} and {run.root} differ in their {what} ({one}; {other}). Give runs with the same {what}."
        )


def _data_of(run: RunFolder) -> Any:
    return run.read_json(run.environment)["data"]


def _describe_split(run: RunFolder) -> str:
    data = load_recipe(str(run.config)).data
    return f"validation {data.validation:g}, split_seed {data.split_seed}, per_class {data.per_class}"


def _split_of(data: DataConfig) -> DataConfig:
    """Return what the members have in common; images that were added to some of them are not held out."""
    default = DataConfig()
    return replace(data, add=default.add, add_share=default.add_share)
