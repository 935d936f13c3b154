"""Studies: begun, joined from another machine, opened again."""

from __future__ import annotations

import uuid
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.storages import BaseStorage
from optuna.study import Study

from mnist_cnn.errors import SettingError
from mnist_cnn.files import write_json
from mnist_cnn.tuning.plan import Plan, directions, parse_plan
from mnist_cnn.tuning.sampler import NumberedSampler
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.space import starting_point
from mnist_cnn.tuning.storage import open_storage, without_password

_PLAN = "mnist-cnn"  # the study's attribute that holds the plan
_FIRST_JUDGED = 1 / 6  # of its epochs a trial is trained before the median pruner looks at it
_STARTUP = 2  # trials that the median pruner lets end, so that there is a median


def create_study(plan: Plan, folder: TuningFolder, url: str = "", local: dict[str, Any] | None = None) -> None:
    """Begin a study, and write down what resuming needs.

    Args:
        plan: What to search.
        folder: An empty folder.
        url: Of the database server that several machines share; empty for a file in the folder.
        local: What only this machine needs to know, such as where it has the data.

    Raises:
        SettingError: There is a study of this name, or the server cannot be reached.
    """
    storage = open_storage(folder, url, plan.heartbeat)
    try:
        study = optuna.create_study(storage=storage, study_name=plan.name, directions=directions(plan.objectives))
    except optuna.exceptions.DuplicatedStudyError:
        raise SettingError(
            f"there is a study {plan.name!r} in {without_password(url)}. Join it with --join, or choose another --name."
        ) from None
    study.set_user_attr(_PLAN, plan.to_dict())
    if known := starting_point(plan.space, plan.base):
        study.enqueue_trial(known)
    _write_plan(plan, folder, url, local)


def join_study(plan: Plan, folder: TuningFolder, url: str, local: dict[str, Any] | None = None) -> None:
    """Take part in a study that another machine began: write down what resuming needs."""
    _write_plan(plan, folder, url, local)


def find_plan(name: str, folder: TuningFolder, url: str) -> Plan:
    """Give the plan of a study on a server.

    Raises:
        SettingError: There is no such study, it was not made by this package, or the server cannot be reached.
    """
    storage = open_storage(folder, url, heartbeat=Plan.heartbeat)
    known = {study.study_name: study for study in storage.get_all_studies()}
    if name not in known:
        raise SettingError(f"there is no study {name!r} in {without_password(url)}. Begin one by leaving out --join.")
    values = known[name].user_attrs.get(_PLAN)
    if values is None:
        raise SettingError(
            f"the study {name!r} in {without_password(url)} was not begun by mnist-cnn. Choose another --name."
        )
    return parse_plan(values, f"study {name!r}")


def open_plan(folder: TuningFolder) -> Plan:
    """Read what a search was told."""
    return parse_plan(folder.read_plan(), str(folder.plan))


def open_study(folder: TuningFolder, url: str = "") -> Study:
    """Open the study of a search.

    Args:
        folder: Of the search.
        url: Of the database server, with the password that is not written down; empty for what `study.json` says.

    Raises:
        SettingError: The folder holds no search, or the server cannot be reached.
    """
    plan = open_plan(folder)
    storage: BaseStorage = open_storage(folder, url or folder.storage, plan.heartbeat)
    return optuna.load_study(
        study_name=plan.name,
        storage=storage,
        sampler=NumberedSampler(plan.seed, len(plan.objectives)),
        pruner=build_pruner(plan),
    )


def build_pruner(plan: Plan) -> BasePruner:
    """Give what decides after each epoch whether a trial is worth another one."""
    epochs = plan.base.training.epochs
    if plan.pruner == "median" and epochs > 1:
        return MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=round(epochs * _FIRST_JUDGED))
    if plan.pruner == "hyperband" and epochs > 1:
        return HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
    return NopPruner()


def _write_plan(plan: Plan, folder: TuningFolder, url: str, local: dict[str, Any] | None) -> None:
    kept = {"storage": without_password(url) if url else "", "place": uuid.uuid4().hex, **(local or {})}
    write_json(folder.plan, {**kept, **plan.to_dict()})
