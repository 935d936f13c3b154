"""`mnist-cnn train`: the main job, from data to report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnist_cnn.cli.data import resolve, resolve_for_run
from mnist_cnn.cli.measurements import report_result
from mnist_cnn.cli.options import PATH, data_dir_option, json_option, scale_option, set_option
from mnist_cnn.cli.progress import TerminalListener
from mnist_cnn.cli.quiet import start_keras
from mnist_cnn.cli.terminal import INTERRUPTED, Terminal
from mnist_cnn.config import (
    DEFAULT_RECIPE,
    DEFAULT_SMALL_RECIPE,
    SHIPPED_MODEL,
    Config,
    load_recipe,
    override,
    parse_setting,
)
from mnist_cnn.datasets import Dataset, ResolvedDataset, load_addition
from mnist_cnn.datasets.catalog import DIGITS
from mnist_cnn.errors import SettingError
from mnist_cnn.runs import CONFIG_NAME, RunFolder, create_run, discard_run, lock_run, open_run

if TYPE_CHECKING:
    from collections.abc import Mapping

_HARMLESS = {"training.seed", "training.deterministic"}  # settings under which a recipe keeps its promises


@click.command()
@click.option("--recipe", help=f"A named recipe or a TOML file (default: {DEFAULT_RECIPE}).")
@click.option("--dataset", help="A known data set or a path (default: auto).")
@data_dir_option
@click.option(
    "--add",
    type=click.Path(exists=True, path_type=Path),
    help="Learn these images too: a folder with one sub-folder per class.",
)
@click.option("--epochs", type=int, help="Passes through the training images.")
@click.option("--batch-size", type=int, help="Images per step.")
@click.option("--learning-rate", type=float, help="The highest one.")
@click.option("--validation", type=float, help="Share of the training images held out; 0 for none.")
@click.option("--seed", type=int, help="Fixes everything that can be fixed.")
@click.option("--deterministic", is_flag=True, help="Repeat bit for bit, slower.")
@set_option("Any other setting, such as optimizer.ema=0.")
@click.option("--init-from", help="Start from the weights of this run or .keras file; digits: of those that ship.")
@scale_option
@click.option("--freeze", type=click.Choice(["nothing", "features"]), help="What --init-from leaves as it is.")
@click.option("--name", help="The run's name (default: the recipe's).")
@click.option("--runs-dir", type=PATH, default=Path("runs"), help="Where runs are kept.")
@click.option("--resume", type=PATH, metavar="RUN", help="Go on with an unfinished run.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard's files.")
@click.option("--legacy-h5", is_flag=True, help="Also leave a model.h5.")
@json_option
def train(
    recipe: str | None,
    dataset: str | None,
    data_dir: Path | None,
    add: Path | None,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    validation: float | None,
    seed: int | None,
    deterministic: bool,
    settings: tuple[str, ...],
    init_from: str | None,
    scale: float | None,
    freeze: str | None,
    name: str | None,
    runs_dir: Path,
    resume: Path | None,
    tensorboard: bool,
    legacy_h5: bool,
    as_json: bool,
) -> None:
    """Train a network, evaluate it once on the test set, and write a report."""
    terminal = Terminal(as_json)
    flags: dict[str, Any] = {
        "data.dataset": dataset,
        "data.add": str(add.resolve()) if add else None,
        "data.validation": validation,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.seed": seed,
        "training.deterministic": deterministic or None,
        "optimizer.learning_rate": learning_rate,
        "model.init_from": _absolute(init_from) if init_from else None,
        "model.init_scale": scale,
        "model.freeze": freeze,
    }
    changes = {key: value for key, value in flags.items() if value is not None}
    changes |= dict(parse_setting(text) for text in settings)
    if init_from and (ignored := [key for key in changes if key.startswith(("model.arch", "model.arg"))]):
        raise SettingError(f"--init-from brings its own network, so {ignored[0]} cannot be set. Leave one of them out.")
    if resume:
        given = [*(word for word, value in (("--recipe", recipe), ("--name", name)) if value), *changes]
        _refuse_changes(given)
        run = open_run(resume)
        config = load_recipe(str(run.config))
        data = resolve_for_run(run, data_dir, terminal)
        if run.finished and run.report.exists():
            terminal.say(f"{run.root} is finished already: see {run.report}")
            terminal.finish({"run": str(run.root), "report": str(run.report), **run.read_json(run.metrics)})
            return
    else:
        _refuse_without_model({"--scale": scale, "--freeze": freeze}, recipe, changes)
        data = resolve(_wanted_dataset(recipe, changes), data_dir, terminal)
        recipe = recipe or (DEFAULT_SMALL_RECIPE if data.name == DIGITS else DEFAULT_RECIPE)
        config = _without_stale_words(override(load_recipe(recipe), {**changes, "data.dataset": data.name}), changes)
        run = create_run(runs_dir, name or _default_name(recipe, data))
    try:
        with lock_run(run):
            _train_and_report(config, data, run, terminal, {"tensorboard": tensorboard, "legacy_h5": legacy_h5})
    except BaseException as error:
        discard_run(run)
        if isinstance(error, KeyboardInterrupt) and run.config.exists():
            terminal.warn(f"Interrupted; {run.root} is safe. Go on with: mnist-cnn train --resume {run.root}")
        raise


def _train_and_report(
    config: Config, data: ResolvedDataset, run: RunFolder, terminal: Terminal, extras: dict[str, bool]
) -> None:
    began = time.perf_counter()
    digits = data.load("train")
    added = None if run.finished else _check_inputs(config, digits, terminal)
    terminal.say(f"Training {run.root}: {config.title or config.model.architecture}, on {data.name}")
    start_keras()  # takes seconds; what can fail before has failed
    from mnist_cnn.evaluation.exploration import write_exploration
    from mnist_cnn.evaluation.predictions import predict
    from mnist_cnn.training.trainer import train as train_network

    with TerminalListener(terminal) as listener:
        result = train_network(config, digits, run, added=added, listener=listener, **extras)
    if result.interrupted:
        _say_interrupted(result.epochs, run, terminal)
        raise SystemExit(INTERRUPTED)
    terminal.say("Training is over; reading the test set, once.")
    test = data.load("test")
    predictions = predict(result.model, test)
    write_exploration(run.exploration, digits, test)
    training = {
        "seconds": result.seconds,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "peak_memory_gib": result.peak_memory_gib,
        "total_seconds": time.perf_counter() - began,
    }
    report_result(run, result.model, predictions, terminal, training=training)


def _check_inputs(config: Config, digits: Dataset, terminal: Terminal) -> Dataset | None:
    """Find what training would find wrong with the files beside the data set, before it is said to begin.

    Returns:
        The images to learn beside the data set; None where none are to be.
    """
    from mnist_cnn.models.persistence import model_file

    if config.model.init_from:
        model_file(Path(config.model.init_from))
    if not config.data.add:
        return None
    added = load_addition(Path(config.data.add), digits.class_names)
    if added.notice:
        terminal.warn(added.notice)
    return added


def _absolute(model: str) -> str:
    """Give what is to be started from as the configuration keeps it, so that it is found from another folder."""
    return model if model == SHIPPED_MODEL else str(Path(model).resolve())


def _say_interrupted(epochs: int, run: RunFolder, terminal: Terminal) -> None:
    terminal.warn(f"Interrupted after {epochs} finished epochs; what was reached is saved in {run.root}.")
    terminal.say(f"  evaluate it:  mnist-cnn evaluate {run.root}")
    terminal.say(f"  go on:        mnist-cnn train --resume {run.root}")
    terminal.finish({"run": str(run.root), "interrupted": True, "epochs": epochs})


def _refuse_changes(given: list[str]) -> None:
    if given:
        raise SettingError(
            f"--resume goes on with the run's own settings, so {given[0]} cannot be changed. "
            "Leave it out, or train a new run."
        )


def _refuse_without_model(given: Mapping[str, object], recipe: str | None, changes: Mapping[str, Any]) -> None:
    """Refuse options that are about a trained model to start from, where there is none."""
    named = [f"{option} {value}" for option, value in given.items() if value not in (None, "nothing")]
    if named and not changes.get("model.init_from", load_recipe(recipe or DEFAULT_RECIPE).model.init_from):
        option = named[0].split()[0]
        raise SettingError(
            f"{named[0]} is about a trained model to start from, and none is named. Name it with --init-from, or "
            f"leave {option} out."
        )


def _wanted_dataset(recipe: str | None, changes: dict[str, Any]) -> str:
    # Also finds a wrong setting before a download begins.
    return override(load_recipe(recipe or DEFAULT_RECIPE), changes).data.dataset


def _without_stale_words(config: Config, changes: dict[str, Any]) -> Config:
    """Drop what the recipe promises where its settings were changed."""
    if all(key.startswith("data.dataset") or key in _HARMLESS for key in changes):
        return config
    return override(config, {"expected_accuracy": "", "expected_time": "", "parameters": 0})


def _default_name(recipe: str, data: ResolvedDataset) -> str:
    path = Path(recipe)
    stem = path.stem if path.suffix == ".toml" else recipe
    if path.name == CONFIG_NAME:  # a run's own
        return path.resolve().parent.name.rpartition("-")[0] or stem
    return stem if data.name == "mnist" else f"{stem}-{Path(data.name).stem}"
