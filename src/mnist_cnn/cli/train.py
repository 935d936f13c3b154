"""`mnist-cnn train`: the main job, from data to report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from mnist_cnn.cli.data import DATASET, resolve, resolve_for_run
from mnist_cnn.cli.measurements import report_result
from mnist_cnn.cli.options import (
    PATH,
    NamedPath,
    NameOrPath,
    data_dir_option,
    json_option,
    refuse_options,
    scale_option,
    set_option,
)
from mnist_cnn.cli.progress import TerminalListener
from mnist_cnn.cli.terminal import INTERRUPTED, Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.config import (
    DEFAULT_RECIPE,
    DEFAULT_SMALL_RECIPE,
    EXPECTATIONS,
    SHIPPED_MODEL,
    Config,
    load_recipe,
    override,
    parse_setting,
    recipe_names,
)
from mnist_cnn.datasets import Dataset, ResolvedDataset, load_addition
from mnist_cnn.datasets.catalog import DIGITS
from mnist_cnn.environment import shell
from mnist_cnn.errors import SettingError
from mnist_cnn.files import CONFIG_NAME
from mnist_cnn.models.quiet import start_keras
from mnist_cnn.runs import RunFolder, create_run, discard_run, lock_run, open_run, valid_name

_HARMLESS = {"training.seed", "training.deterministic"}  # settings that do not invalidate a recipe's expected results
_SETTINGS = {  # option → the setting it stands for
    "dataset": "data.dataset",
    "add": "data.add",
    "validation": "data.validation",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "seed": "training.seed",
    "deterministic": "training.deterministic",
    "learning_rate": "optimizer.learning_rate",
    "init_from": "model.init_from",
    "scale": "model.init_scale",
    "freeze": "model.freeze",
}


@click.command(cls=Verb, example="mnist-cnn train --recipe vgg --epochs 5")
@click.option(
    "--recipe", type=NameOrPath(recipe_names), help=f"Recipe: a name or a TOML file (default: {DEFAULT_RECIPE})."
)
@click.option("--dataset", type=DATASET, help="Name from mnist-cnn datasets, or a path (default: auto).")
@data_dir_option
@click.option(
    "--add",
    type=NamedPath(exists=True, path_type=Path),
    help="Also train on these images: a folder with one subfolder per class.",
)
@click.option("--epochs", type=int, help="Passes through the training images, at least 1 (default: the recipe's).")
@click.option("--batch-size", type=int, help="Images per step, at least 1 (default: the recipe's).")
@click.option("--learning-rate", type=float, help="Peak learning rate, above 0 (default: the recipe's).")
@click.option("--validation", type=float, help="Share of the training images to hold out for validation, 0 to below 1.")
@click.option("--seed", type=int, help="Seed of weights, batches and distortions, at least 0 (default: 0).")
@click.option(
    "--deterministic", is_flag=True, default=None, help="Make the run repeatable bit for bit. This is slower."
)
@set_option("Set any other setting, such as optimizer.ema=0.")
@click.option(
    "--init-from",
    type=NamedPath(),
    help=f"Start from the weights of a run or a .keras file, or from {SHIPPED_MODEL}, the included weights.",
)
@scale_option
@click.option(
    "--freeze", type=click.Choice(["nothing", "features"]), help="Layers of --init-from that training leaves unchanged."
)
@click.option("--name", help="Name of the run (default: the recipe's).")
@click.option("--runs-dir", type=PATH, default=Path("runs"), help="Parent folder of runs (default: runs).")
@click.option("--resume", type=PATH, metavar="RUN", help="Continue this unfinished run.")
@click.option("--tensorboard", is_flag=True, help="Also write files for TensorBoard.")
@click.option("--legacy-h5", is_flag=True, help="Also write model.h5, in Keras' old format.")
@json_option
def train(
    recipe: str | None,
    data_dir: Path | None,
    settings: tuple[str, ...],
    name: str | None,
    runs_dir: Path,
    resume: Path | None,
    tensorboard: bool,
    legacy_h5: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network, evaluate it, and write a report.

    The test set is read once, after training.
    """
    terminal = Terminal(as_json)
    if resume:
        refuse_options(
            ("recipe", "name", "runs_dir", "settings", *_SETTINGS),
            "Omit it, or train a new run: --resume uses the folder and the settings of the run.",
        )
        run = open_run(resume)
        config = load_recipe(str(run.config))
        data = resolve_for_run(run, data_dir, terminal)
        if run.finished and run.report.exists():
            terminal.say(f"{run.root} is already finished: see {run.report}")
            terminal.finish({"run": str(run.root), "report": str(run.report), **run.read_json(run.metrics)})
            return
    else:
        config, data, default_name = configure(recipe, _read_changes(options, settings), data_dir, terminal)
        run = create_run(runs_dir, name or default_name)
    train_in(run, config, data, terminal, {"tensorboard": tensorboard, "legacy_h5": legacy_h5})


def configure(
    recipe: str | None, changes: dict[str, Any], data_dir: Path | None, terminal: Terminal
) -> tuple[Config, ResolvedDataset, str]:
    """Return the settings and the data of a new run, and its name unless the user gives one.

    Args:
        recipe: A name or a file; None for the one that fits the data.
        changes: Settings that the user changed, by their dotted names.
        data_dir: Where to search for the data first.
        terminal: For messages.
    """
    wanted = override(load_recipe(recipe or DEFAULT_RECIPE), changes)  # finds invalid settings before a download
    data = resolve(wanted.data.dataset, data_dir, terminal)
    recipe = recipe or (DEFAULT_SMALL_RECIPE if data.name == DIGITS else DEFAULT_RECIPE)
    config = _without_expectations(override(load_recipe(recipe), {**changes, "data.dataset": data.name}), changes)
    return config, data, _default_name(recipe, data)


def train_in(
    run: RunFolder, config: Config, data: ResolvedDataset, terminal: Terminal, extras: dict[str, bool]
) -> None:
    """Train a network in a new or unfinished run folder, evaluate it, and write its report."""
    try:
        with lock_run(run):
            _train_and_report(config, data, run, terminal, extras)
    except BaseException as error:
        discard_run(run)
        if isinstance(error, KeyboardInterrupt) and run.config.exists():
            terminal.warn(f"Interrupted; {run.root} is safe. Continue with: {run.resume_command}")
        raise


def _read_changes(options: dict[str, Any], settings: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings that the options change, by their dotted names; paths become absolute."""
    if options["add"]:
        options["add"] = str(options["add"].resolve())
    if options["init_from"] and options["init_from"] != SHIPPED_MODEL:
        options["init_from"] = str(Path(options["init_from"]).resolve())
    changes = {_SETTINGS[option]: value for option, value in options.items() if value is not None}
    changes |= dict(parse_setting(text) for text in settings)
    ignored = [key for key in changes if key.startswith(("model.arch", "model.arg"))]
    if options["init_from"] and ignored:
        raise SettingError(
            f"--init-from uses the network of that model, so {ignored[0]} has no effect. Use only one of them."
        )
    return changes


def _train_and_report(
    config: Config, data: ResolvedDataset, run: RunFolder, terminal: Terminal, extras: dict[str, bool]
) -> None:
    began = time.perf_counter()
    digits = data.load("train")
    added = None if run.finished else _check_inputs(config, digits, terminal)
    terminal.say(f"Training {run.root}: {config.title or config.model.architecture}, on {data.name}")
    start_keras()  # takes seconds, so errors are found before
    from mnist_cnn.series.complete_run import evaluate_once
    from mnist_cnn.training.trainer import train as train_network

    with TerminalListener(terminal) as listener:
        result = train_network(config, digits, run, added=added, listener=listener, **extras)
    if result.interrupted:
        _say_interrupted(result.epochs, run, terminal)
        raise SystemExit(INTERRUPTED)
    terminal.say("Training is finished. Evaluating once on the test set.")
    predictions, training = evaluate_once(result, data, digits, run, began)
    report_result(run, result.model, predictions, terminal, training=training)


def _check_inputs(config: Config, digits: Dataset, terminal: Terminal) -> Dataset | None:
    """Check all files that training needs other than the data set; return the images of `data.add`, if any."""
    from mnist_cnn.models.persistence import model_file

    if config.model.init_from:
        model_file(Path(config.model.init_from))
    if not config.data.add:
        return None
    added = load_addition(Path(config.data.add), digits.class_names)
    if added.notice:
        terminal.warn(added.notice)
    return added


def _say_interrupted(epochs: int, run: RunFolder, terminal: Terminal) -> None:
    terminal.warn(f"Interrupted after {epochs} finished epochs. The progress is saved in {run.root}.")
    terminal.say(f"  evaluate it:  {shell.join(['mnist-cnn', 'evaluate', str(run.root)])}")
    terminal.say(f"  continue:     {run.resume_command}")
    terminal.finish({"run": str(run.root), "interrupted": True, "epochs": epochs})


def _without_expectations(config: Config, changes: dict[str, Any]) -> Config:
    """Drop the recipe's expected results if its settings were changed."""
    if all(key.startswith("data.dataset") or key in _HARMLESS for key in changes):
        return config
    return override(config, EXPECTATIONS)


def _default_name(recipe: str, data: ResolvedDataset) -> str:
    path = Path(recipe)
    stem = path.stem if path.suffix == ".toml" else recipe
    if path.name == CONFIG_NAME:  # of a run
        return valid_name(path.resolve().parent.name.rpartition("-")[0] or stem)
    return valid_name(stem if data.name == "mnist" else f"{stem}-{Path(data.name).stem}")
