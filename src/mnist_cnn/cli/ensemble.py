"""`mnist-cnn ensemble`: average several networks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mnist_cnn.cli.data import DATASET, resolve_for_run
from mnist_cnn.cli.measurements import report_result
from mnist_cnn.cli.options import PATH, NameOrPath, data_dir_option, json_option, ray_option, refuse_options, set_option
from mnist_cnn.cli.progress import TerminalListener
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.train import configure
from mnist_cnn.cli.verb import Verb
from mnist_cnn.config import load_recipe, parse_setting, recipe_names
from mnist_cnn.datasets import ResolvedDataset
from mnist_cnn.ensembles.membership import FEWEST, MOST, check_count, check_members
from mnist_cnn.ensembles.planned import find_unfinished, member_configs, members_of, open_planned, plan_members
from mnist_cnn.errors import SettingError
from mnist_cnn.models.quiet import start_keras
from mnist_cnn.runs import RunFolder, check_name, create_run, discard_run, lock_run, open_run
from mnist_cnn.series.training_jobs import TrainingJob, is_complete, train_each

_DEFAULT_NAME = "ensemble"
_SETTINGS = {"dataset": "data.dataset", "epochs": "training.epochs", "seed": "training.seed"}
_OF_TRAINING = ("recipe", "members", *_SETTINGS, "settings")


@click.command(cls=Verb, example="mnist-cnn ensemble runs/quick-001 runs/quick-002 runs/quick-003")
@click.argument(
    "runs", metavar="[RUNS]...", nargs=-1, type=PATH, help=f"{FEWEST} to {MOST} finished runs of the same data."
)
@click.option(
    "--recipe", type=NameOrPath(recipe_names), help="Train the members with this recipe: a name or a TOML file."
)
@click.option("--members", type=int, default=MOST, help=f"How many to train, {FEWEST} to {MOST} (default: {MOST}).")
@click.option("--dataset", type=DATASET, help="Train them on this: a name, or a path (default: the recipe's).")
@data_dir_option
@click.option("--epochs", type=int, help="Passes through the training images, at least 1 (default: the recipe's).")
@click.option("--seed", type=int, help="Seed of the first member; the others have the seeds after it (default: 0).")
@set_option("Set any other setting of the members.")
@click.option("--name", help="Name of the ensemble's folder (default: ensemble, or RECIPE-ensemble).")
@click.option("--runs-dir", type=PATH, default=Path("runs"), help="Parent folder of runs (default: runs).")
@click.option("--resume", type=PATH, metavar="ENSEMBLE", help="Continue this ensemble, whose members are not finished.")
@ray_option("Train the members", "Its machines must share the folder of the ensemble. Needs the extra ray.")
@json_option
def ensemble(
    runs: tuple[Path, ...],
    recipe: str | None,
    members: int,
    data_dir: Path | None,
    settings: tuple[str, ...],
    name: str | None,
    runs_dir: Path,
    resume: Path | None,
    ray: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Average 2 to 5 networks into one that is read, evaluated, exported and served like any other.

    Give finished runs, or a recipe to train new ones that differ in their seeds. After an interruption, the same
    command continues. The report shows each member, and the digits on which they disagree.
    """
    terminal = Terminal(as_json)
    if runs:
        refuse_options((*_OF_TRAINING, "resume", "ray"), "The given runs are averaged, and nothing is trained.")
        _average([open_run(path) for path in runs], name or _DEFAULT_NAME, runs_dir, data_dir, terminal)
        return
    if resume:
        refuse_options(
            (*_OF_TRAINING, "name", "runs_dir"), "Omit it: --resume uses the folder and the settings of the ensemble."
        )
        folder = open_planned(resume)
        data = resolve_for_run(folder, data_dir, terminal)
    else:
        if not recipe:
            raise SettingError(
                f"no runs are given. Give {FEWEST} to {MOST} finished runs, or a recipe to train the members with, "
                "such as: mnist-cnn ensemble --recipe quick --members 3"
            )
        check_count(members)
        changes = {setting: options[option] for option, setting in _SETTINGS.items() if options[option] is not None}
        changes |= dict(parse_setting(text) for text in settings)
        config, data, default_name = configure(recipe, changes, data_dir, terminal)
        name, configs = name or f"{default_name}-{_DEFAULT_NAME}", member_configs(config, members)
        check_name(name)
        unfinished = find_unfinished(runs_dir, name, configs)
        folder = unfinished or create_run(runs_dir, name)
        if not unfinished:
            plan_members(folder, configs)
    _train_and_average(folder, data, ray, terminal)


def _average(
    members: Sequence[RunFolder], name: str, runs_dir: Path, data_dir: Path | None, terminal: Terminal
) -> None:
    """Average finished runs in a new folder."""
    check_members(members)
    data = resolve_for_run(members[0], data_dir, terminal)
    folder = create_run(runs_dir, name)
    try:
        with lock_run(folder):
            _assemble_and_report(members, folder, data, terminal)
    except BaseException:
        discard_run(folder)
        raise


def _train_and_average(folder: RunFolder, data: ResolvedDataset, ray: str | None, terminal: Terminal) -> None:
    """Train the members that are not finished, and average all."""
    if folder.report.exists():
        terminal.say(f"{folder.root} is already finished: see {folder.report}")
        terminal.finish({"run": str(folder.root), "report": str(folder.report), **folder.read_json(folder.metrics)})
        return
    members = members_of(folder)
    try:
        with lock_run(folder):
            _train([TrainingJob(each.root, load_recipe(str(each.config)), data) for each in members], ray, terminal)
            _assemble_and_report(members, folder, data, terminal)
    except KeyboardInterrupt:
        terminal.warn(f"Interrupted; {folder.root} is safe. Continue with: {folder.resume_command}")
        raise


def _train(jobs: Sequence[TrainingJob], ray: str | None, terminal: Terminal) -> None:
    """Train, evaluate and report the members that are not complete: here with their progress, or on a cluster."""
    if ray is not None:
        train_each(jobs, ray, on_end=lambda job, record: _announce(job, record, terminal))
        return
    start_keras()
    from mnist_cnn.series.complete_run import complete_run

    for number, job in enumerate(jobs, 1):
        run = RunFolder(job.run)
        if is_complete(run):
            continue
        terminal.say(f"Training member {number} of {len(jobs)}: {run.root}")
        with TerminalListener(terminal) as listener:
            complete_run(job.config, job.data, run, time.perf_counter(), listener=listener)


def _announce(job: TrainingJob, record: Mapping[str, Any], terminal: Terminal) -> None:
    terminal.say(f"{job.run.name}: {record['accuracy']:.2%} of the test images are classified correctly")


def _assemble_and_report(
    members: Sequence[RunFolder], folder: RunFolder, data: ResolvedDataset, terminal: Terminal
) -> None:
    """Average the members, export the average to ONNX, and write the report last."""
    terminal.say(f"Averaging {len(members)} networks in {folder.root}, evaluating them once on the test set.")
    start_keras()
    from mnist_cnn.ensembles.assembly import assemble, training_cost
    from mnist_cnn.evaluation.exploration import write_exploration
    from mnist_cnn.evaluation.predictions import predict

    model = assemble(members, folder)
    _export(folder, data, terminal)
    test = data.load("test")
    write_exploration(folder.exploration, data.load("train"), test)
    report_result(folder, model, predict(model, test), terminal, training=training_cost(members))


def _export(folder: RunFolder, data: ResolvedDataset, terminal: Terminal) -> None:
    """Write the ONNX file that `predict` and `serve` read."""
    from mnist_cnn.export.exporting import export
    from mnist_cnn.export.formats import find_formats
    from mnist_cnn.export.original import open_original

    original = open_original(folder.root, data)
    for remark in original.remarks:
        terminal.warn(remark)
    done = export(original, find_formats(["onnx"])[0], folder.exports)
    terminal.say(f"ONNX file: {done.path} ({done.size / 1000:,.0f} kB)")
