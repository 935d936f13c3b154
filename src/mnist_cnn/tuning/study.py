"""Studies: created, joined from another machine, opened again."""

from __future__ import annotations

import uuid

import optuna
from optuna.study import Study

from mnist_cnn.datasets import ResolvedDataset
from mnist_cnn.errors import RunFolderError, SettingError
from mnist_cnn.files import write_json
from mnist_cnn.tuning.plan import Plan, directions, parse_plan
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.space import starting_point
from mnist_cnn.tuning.storage import open_storage, without_password
from mnist_cnn.tuning.strategies import build_pruner, build_sampler

_PLAN = "mnist-cnn"  # the study's attribute that contains the plan


def create_study(plan: Plan, folder: TuningFolder, data: ResolvedDataset) -> None:
    """Create a study in an empty folder or on its server, and save what resuming needs.

    Raises:
        SettingError: A study of this name exists, or the server cannot be reached.
    """
    storage = open_storage(folder, plan.heartbeat)
    try:
        study = optuna.create_study(storage=storage, study_name=plan.name, directions=directions(plan.objectives))
    except optuna.exceptions.DuplicatedStudyError:
        raise SettingError(
            f"{without_password(folder.url)} already has a study {plan.name!r}. Join it with --join, or choose "
            "another --name."
        ) from None
    study.set_user_attr(_PLAN, plan.to_dict())
    if known := starting_point(plan.space, plan.base):
        study.enqueue_trial(known)
    join_study(plan, folder, data)


def join_study(plan: Plan, folder: TuningFolder, data: ResolvedDataset) -> None:
    """Save what this machine needs to resume a study: the plan, the server, and where its data are."""
    local = {
        "storage": without_password(folder.url) if folder.url else "",
        "place": uuid.uuid4().hex,
        "dataset": data.name,
        "data_dir": str(data.data_dir.resolve()) if data.data_dir else None,
    }
    write_json(folder.plan, {**local, **plan.to_dict()})


def find_plan(name: str, folder: TuningFolder) -> Plan:
    """Return the plan of a study on the folder's server.

    Raises:
        SettingError: There is no such study, mnist-cnn did not create it, or the server cannot be reached.
    """
    storage = open_storage(folder, Plan.heartbeat)
    known = {study.study_name: study for study in storage.get_all_studies()}
    if name not in known:
        place = without_password(folder.url)
        raise SettingError(f"{place} does not contain the study {name!r}. Leave out --join to start one.")
    values = known[name].user_attrs.get(_PLAN)
    if values is None:
        raise SettingError(
            f"mnist-cnn did not create the study {name!r} in {without_password(folder.url)}. Choose another --name."
        )
    return parse_plan(values, f"study {name!r}")


def open_plan(folder: TuningFolder) -> Plan:
    """Read the plan of a search."""
    return parse_plan(folder.read_plan(), str(folder.plan))


def open_study(folder: TuningFolder) -> Study:
    """Open the study of a search.

    Raises:
        RunFolderError: The folder is not a search folder, or its database does not have the study.
        SettingError: The server cannot be reached.
    """
    plan = open_plan(folder)
    storage = open_storage(folder, plan.heartbeat)
    try:
        return optuna.load_study(
            study_name=plan.name, storage=storage, sampler=build_sampler(plan), pruner=build_pruner(plan)
        )
    except KeyError:
        place = without_password(folder.url) if folder.url else folder.storage or folder.database
        raise RunFolderError(
            f"{place} does not contain the study {plan.name!r}. Restore it, give the address of the database with "
            "which the search began, or start a new search."
        ) from None
