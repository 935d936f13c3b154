"""An ensemble from its members: one Keras model, with what a run folder says about a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnist_cnn.config import load_recipe, save_config
from mnist_cnn.ensembles.membership import check_members, ensemble_config
from mnist_cnn.environment.machine import describe_environment
from mnist_cnn.files import hash_file, write_json
from mnist_cnn.models.averaging import average_models
from mnist_cnn.models.backend import keras
from mnist_cnn.models.persistence import open_model, save_model, save_weights
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.records import append_log


def assemble(members: Sequence[RunFolder], ensemble: RunFolder) -> keras.Model:
    """Average runs and save the result in the folder of an ensemble, which is then like that of a finished run.

    Args:
        members: Two to five finished runs of the same data.
        ensemble: An empty folder, or one with the members' settings.

    Returns:
        The averaged model, float32 and not compiled.

    Raises:
        InputError: The runs do not fit together.
        WriteError: The folder cannot be written.
    """
    check_members(members)
    model = average_models([open_model(member.root) for member in members])
    paths = {str(member.root.resolve()): hash_file(member.model) for member in members}
    first = members[0].read_json(members[0].environment)
    save_model(model, ensemble.model)
    save_weights(ensemble.model, ensemble.weights)
    record = {**describe_environment(), "backend": keras.backend.backend(), "data": first["data"], "members": paths}
    write_json(ensemble.environment, record)
    append_log(ensemble, f"averaged {', '.join(paths)}")
    if not ensemble.config.exists():  # last: it makes the folder one of a run
        save_config(ensemble.config, ensemble_config(list(paths), load_recipe(str(members[0].config))))
    return model


def training_cost(members: Sequence[RunFolder]) -> dict[str, Any]:
    """Return the time and the epochs that the training of all members took together."""
    rows = [row for member in members for row in member.read_json(member.history_json)]
    return {"seconds": sum(row["seconds"] for row in rows), "epochs": len(rows), "members": len(members)}
