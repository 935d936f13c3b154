"""What training writes to the run folder apart from the model: configuration, environment, history, log."""

from __future__ import annotations

import csv
import datetime as dt
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_cnn.config import Config, save_config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.environment.machine import describe_environment
from mnist_cnn.errors import RunFolderError, WriteError
from mnist_cnn.files import hash_file, write_json, write_text
from mnist_cnn.models.backend import keras, onednn_state
from mnist_cnn.models.persistence import model_file, save_model
from mnist_cnn.runs import Row, RunFolder
from mnist_cnn.training.checkpoint import TrainingState
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.precision import devices

_TEACHER = "teacher_sha256"  # in the environment


def record_start(
    config: Config,
    dataset: Dataset,
    added: Dataset | None,
    run: RunFolder,
    precision: str,
    note: Callable[[str], None] = lambda _: None,
) -> None:
    """Write configuration and environment. Of a resumed run, check the data, and remove outdated files.

    `note` receives what was removed.

    Raises:
        RunFolderError: The run was started with other data, or with another teacher.
    """
    session = {"began": _now(), "precision": precision, **describe_environment()}
    session |= {"onednn": onednn_state(), "devices": devices()}
    data = {"data": _describe_data(dataset), **({"added": _describe_data(added)} if added else {})}
    if run.environment.exists():
        known = run.read_json(run.environment)
        for key, given in data.items():
            _check_same(run, known[key], given)
        _check_teacher(config, known)
        for outdated in (run.report, run.metrics, run.model_card):
            outdated.unlink(missing_ok=True)
        if run.exports.exists():
            run.exports.unlink() if run.exports.is_symlink() else shutil.rmtree(run.exports)
            removed = f"removed {run.exports}, which contained the unfinished model"
            append_log(run, removed)
            note(removed)
        write_json(run.environment, {**known, "resumed": [*known.get("resumed", []), session]})
        append_log(run, f"resumed on {session['platform']}")
        return
    save_config(run.config, config)
    write_json(run.environment, {**session, **_describe_inputs(config), **data})
    append_log(run, f"began {run.name}: {len(dataset)} images of {dataset.name} from {dataset.source}")
    if added:
        append_log(run, f"and {len(added)} image{'s' if len(added) > 1 else ''} from {added.source}")
        if added.notice:
            append_log(run, added.notice)
    if dataset.notice:
        append_log(run, dataset.notice)


def epoch_writer(run: RunFolder, float32_model: keras.Model, listener: Listener) -> Callable[[TrainingState], None]:
    """Return a function to call after each saved epoch: it writes the history and, if it is the best, the checkpoint.

    Args:
        run: Where to write.
        float32_model: The network in float32 and not compiled, for saving weights.
        listener: Receives the epoch.
    """

    def write(state: TrainingState) -> None:
        row = state.history[-1]
        is_best = state.best_epoch == state.epochs_done
        write_history(run, state.history)
        if is_best:
            save_best(run, float32_model, state)
        append_log(run, ", ".join(f"{key} {value:.6g}" for key, value in row.items()) + (", best" if is_best else ""))
        listener.on_epoch(row, is_best)

    return write


def save_best(run: RunFolder, float32_model: keras.Model, state: TrainingState) -> None:
    """Write the checkpoint of the best epoch so far."""
    float32_model.set_weights(state.best_weights)
    save_model(float32_model, run.best_checkpoint)


def catch_up(run: RunFolder, float32_model: keras.Model, state: TrainingState) -> None:
    """Write what a process that died right after it saved the state could not write."""
    write_history(run, state.history)
    save_best(run, float32_model, state)


def record_end(run: RunFolder, state: TrainingState, interrupted: bool) -> None:
    """Record how training ended; a finished run no longer needs its state."""
    write_history(run, state.history)
    append_log(run, "interrupted" if interrupted else f"finished after {state.epochs_done} epochs")
    if not interrupted:
        run.composed.unlink(missing_ok=True)
        run.state.unlink(missing_ok=True)


def write_history(run: RunFolder, history: list[Row]) -> None:
    """Write all rows as CSV and as JSON."""
    if not history:
        return
    table = io.StringIO()
    # The first rows may be those of an earlier version, which measured less.
    writer = csv.DictWriter(table, fieldnames=list(history[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(run.history_csv, table.getvalue())
    write_json(run.history_json, list(history))


def append_log(run: RunFolder, text: str) -> None:
    """Add a line to the run's log, with the time (UTC).

    Raises:
        WriteError: The log cannot be written.
    """
    try:
        with run.log.open("a", encoding="utf-8") as log:
            log.write(f"{_now()} {text}\n")
    except OSError as error:
        raise WriteError(
            f"{run.log} cannot be written ({error.strerror}). Free some space, or choose another folder."
        ) from error


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _describe_data(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "source": dataset.source,
        "images": len(dataset),
        "classes": list(dataset.class_names),
        "sha256": dataset.checksum(),
        "notice": dataset.notice,
    }


def _check_same(run: RunFolder, known: dict[str, Any], given: dict[str, Any]) -> None:
    if known["sha256"] != given["sha256"]:
        raise RunFolderError(
            f"{run.root} was started with other training data (SHA-256 {known['sha256'][:12]}…, now "
            f"{given['sha256'][:12]}…). Restore the data at {known['source']}, or train a new run."
        )


def _describe_inputs(config: Config) -> dict[str, Any]:
    inputs: dict[str, Any] = {"backend": keras.backend.backend(), "not_fixed_by_seed": _not_fixed(config)}
    for key, model in (("init_from_sha256", config.model.init_from), (_TEACHER, config.distillation.teacher)):
        if model:
            inputs[key] = hash_file(model_file(Path(model)))
    return inputs


def _check_teacher(config: Config, known: dict[str, Any]) -> None:
    """Check that a resumed run has the teacher with which it was started."""
    teacher = config.distillation.teacher
    if teacher and known[_TEACHER] != hash_file(model_file(Path(teacher))):
        raise RunFolderError(
            f"the teacher {teacher} is another model than the one with which this run was started. Restore it, or "
            "train a new run."
        )


def _not_fixed(config: Config) -> list[str]:
    hardware = "results differ between processors, package versions and numbers of cores"
    if config.training.deterministic:
        return [hardware]
    return ["the order in which threads add numbers (use --deterministic)", hardware]
