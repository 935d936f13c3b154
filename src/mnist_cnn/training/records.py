"""What training writes into the run folder besides the model: configuration, environment, history, log."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from mnist_cnn.config import Config, save_config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.environment import describe_environment
from mnist_cnn.errors import InputError, MnistCnnError
from mnist_cnn.files import write_json, write_text
from mnist_cnn.model_files import save_model
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.listener import Listener, Row
from mnist_cnn.training.state import TrainingState


def record_start(config: Config, dataset: Dataset, run: RunFolder) -> None:
    """Write configuration and environment; where the run is resumed, check that the data are the same.

    Raises:
        InputError: The run was begun with other data.
    """
    checksum = dataset.checksum()
    if run.environment.exists():
        begun_with = run.read_json(run.environment)["data"]["sha256"]
        if begun_with != checksum:
            raise InputError(
                f"{run.root} was begun with other training data (SHA-256 {begun_with[:12]}…, now {checksum[:12]}…). "
                "Give the same data with --data-dir, or train a new run."
            )
        append_log(run, f"resumed by {describe_environment()['platform']}")
        return
    save_config(run.config, config)
    write_json(run.environment, {**describe_environment(), **_describe_inputs(config, dataset, checksum)})
    append_log(run, f"began {run.name}: {len(dataset)} images of {dataset.name} from {dataset.source}")
    if dataset.notice:
        append_log(run, dataset.notice)


def epoch_writer(
    run: RunFolder, build: Callable[[], keras.Model], listener: Listener
) -> Callable[[TrainingState], None]:
    """Give what is called after each saved epoch: it writes the history and, after a better one, the checkpoint."""

    def write(state: TrainingState) -> None:
        row = state.history[-1]
        is_best = state.best_epoch == state.epochs_done
        write_history(run, state.history)
        if is_best:
            save_best(run, build, state)
        append_log(run, ", ".join(f"{key} {value:.6g}" for key, value in row.items()) + (", best" if is_best else ""))
        listener.on_epoch(row, is_best)

    return write


def save_best(run: RunFolder, build: Callable[[], keras.Model], state: TrainingState) -> None:
    """Write the checkpoint of the best epoch so far."""
    best = build()
    best.set_weights(state.best_weights)
    save_model(best, run.best_checkpoint)


def catch_up(run: RunFolder, build: Callable[[], keras.Model], state: TrainingState) -> None:
    """Write again what a process that died right after it saved the state could not write."""
    write_history(run, state.history)
    save_best(run, build, state)


def record_end(run: RunFolder, state: TrainingState, interrupted: bool) -> None:
    """Write down how training ended.

    A run that came to its end needs no state any more; an interrupted one is known by its state, even where no
    epoch was finished.
    """
    write_history(run, state.history)
    if interrupted:
        state.save(run.state)
    append_log(run, "interrupted" if interrupted else f"finished after {state.epochs_done} epochs")
    if not interrupted:
        shutil.rmtree(run.state, ignore_errors=True)


def write_history(run: RunFolder, history: list[Row]) -> None:
    """Write all rows as CSV and as JSON."""
    if not history:
        return
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(run.history_csv, table.getvalue())
    write_json(run.history_json, list(history))


def append_log(run: RunFolder, text: str) -> None:
    """Add a line with the time (UTC) to the run's log.

    Raises:
        MnistCnnError: The log cannot be written.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    try:
        with run.log.open("a", encoding="utf-8") as log:
            log.write(f"{now} {text}\n")
    except OSError as error:
        raise MnistCnnError(
            f"{run.log} cannot be written ({error.strerror}). Free some space, or choose another folder."
        ) from error


def _describe_inputs(config: Config, dataset: Dataset, checksum: str) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        "backend": keras.backend.backend(),
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "images": len(dataset),
            "classes": list(dataset.class_names),
            "sha256": checksum,
            "notice": dataset.notice,
        },
        "not_fixed_by_seed": _not_fixed(config),
    }
    if config.model.init_from:
        inputs["init_from_sha256"] = _file_checksum(Path(config.model.init_from))
    return inputs


def _not_fixed(config: Config) -> list[str]:
    hardware = "results differ between processors, package versions and numbers of cores"
    if config.training.deterministic:
        return [hardware]
    return ["the order in which threads add up numbers (use --deterministic)", hardware]


def _file_checksum(path: Path) -> str:
    file = RunFolder(path).model if path.is_dir() else path
    return hashlib.sha256(file.read_bytes()).hexdigest()
