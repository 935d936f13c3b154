"""Ensembles whose members are trained for them: planned as folders, so that an interrupted one can be continued."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnist_cnn.config import Config, load_recipe, override, save_config
from mnist_cnn.ensembles.membership import check_count, ensemble_config
from mnist_cnn.errors import SettingError
from mnist_cnn.runs import RunFolder, open_run


def member_configs(config: Config, count: int) -> list[Config]:
    """Return the settings of the members, which differ in their seed: the recipe's, and those that follow it.

    Raises:
        SettingError: There are too few or too many.
    """
    check_count(count)
    first = config.training.seed
    return [override(config, {"training.seed": first + index}) for index in range(count)]


def plan_members(ensemble: RunFolder, configs: Sequence[Config]) -> None:
    """Write the settings of the members, and then those of the ensemble, into its new folder."""
    names = []
    for config in configs:
        member = RunFolder(ensemble.members / f"seed-{config.training.seed}")
        member.root.mkdir(parents=True)
        save_config(member.config, config)
        names.append(member.root.relative_to(ensemble.root).as_posix())
    save_config(ensemble.config, ensemble_config(names, configs[0]))


def members_of(ensemble: RunFolder) -> list[RunFolder]:
    """Return the members of an ensemble, in its order."""
    return [RunFolder(ensemble.root / path) for path in load_recipe(str(ensemble.config)).model.average]


def find_unfinished(parent: Path, name: str, configs: Sequence[Config]) -> RunFolder | None:
    """Find the ensemble that was interrupted while members with these settings were trained: the last one, if any."""
    for folder in sorted(parent.glob(f"{name}-[0-9]*"), reverse=True):
        ensemble = RunFolder(folder)
        if ensemble.config.exists() and ensemble.members.is_dir() and not ensemble.report.exists():
            members = members_of(ensemble)
            is_whole = all(member.config.exists() for member in members)
            if is_whole and [load_recipe(str(member.config)) for member in members] == list(configs):
                return ensemble
    return None


def open_planned(path: Path) -> RunFolder:
    """Open an ensemble whose members are trained for it.

    Raises:
        RunFolderError: The folder does not exist.
        SettingError: It is another kind of run.
    """
    ensemble = open_run(path)
    if not ensemble.members.is_dir():
        raise SettingError(
            f"{path} is not an ensemble that trains its members. Continue a single run with: mnist-cnn train --resume"
        )
    return ensemble
