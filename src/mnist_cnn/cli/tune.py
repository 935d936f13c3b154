"""`mnist-cnn tune`: search for better settings, on validation data."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnist_cnn.cli.data import DataDirOption, resolve
from mnist_cnn.cli.terminal import INTERRUPTED, JsonFlag, Terminal
from mnist_cnn.config import DEFAULT_RECIPE, DEFAULT_SMALL_RECIPE, Config, load_recipe, override, parse_setting
from mnist_cnn.datasets.catalog import DIGITS
from mnist_cnn.errors import InputError
from mnist_cnn.runs import CONFIG_NAME, create_run
from mnist_cnn.tuning.declaration import DEFAULT_SPACE, check_space, load_space
from mnist_cnn.tuning.folder import TuningFolder
from mnist_cnn.tuning.plan import Plan, parse_objectives

if TYPE_CHECKING:
    from mnist_cnn.datasets import ResolvedDataset
    from mnist_cnn.tuning.bounds import Limits
    from mnist_cnn.tuning.confirmation import Confirmation
    from mnist_cnn.tuning.results import StudyResults

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_UNITS = {"h": 3600, "m": 60, "s": 1}
_DEFAULT_TIME = 1800.0  # seconds, where no limit is given


def tune(
    recipe: Annotated[
        str | None,
        typer.Option(help=f"The recipe to vary, by name or file (default: {DEFAULT_RECIPE}).", show_default=False),
    ] = None,
    space: Annotated[str, typer.Option(help="What to vary, by name or TOML file.")] = DEFAULT_SPACE,
    dataset: Annotated[
        str | None, typer.Option(help="A known data set or a path (default: auto).", show_default=False)
    ] = None,
    data_dir: DataDirOption = None,
    epochs: Annotated[int | None, typer.Option(help="Of a trial that is not pruned.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the recipe, for all trials.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="accuracy, or with parameters, multiply_adds or latency: a Pareto front.")
    ] = "accuracy",
    pruner: Annotated[
        Literal["median", "hyperband", "none"], typer.Option(help="What ends hopeless trials early.")
    ] = "median",
    time: Annotated[
        str | None, typer.Option(metavar="1h30m", help="Search for so long (default: 30m).", show_default=False)
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Search until so many trials.", show_default=False)] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine; they share its cores.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Fixes what is proposed.")] = 0,
    name: Annotated[str, typer.Option(help="The search's name.")] = "tuning",
    runs_dir: Annotated[Path, typer.Option(help="Where searches are kept.")] = Path("runs"),
    resume: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Go on with a search.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A database that machines share: postgresql://…", show_default=False),
    ] = None,
    join: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take part in a search in --storage.", show_default=False)
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            metavar="SEEDS",
            help="At the end, train the best and the recipe on all training images with so many seeds, "
            "and compare them on the test set.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Search for better settings, on validation data; resume, share the work, and keep the best as a recipe."""
    _require_optuna()
    terminal = Terminal(as_json)
    changes: dict[str, Any] = dict(parse_setting(text) for text in settings or [])
    changes |= {} if epochs is None else {"training.epochs": epochs}
    limits = _parse_limits(time, trials, workers)
    if resume or join:
        _refuse_changes("--resume" if resume else "--join", recipe=recipe, dataset=None if join else dataset, **changes)
    if resume:
        folder = TuningFolder(resume)
    elif join:
        folder = _join(join, storage, dataset, data_dir, runs_dir, terminal)
    else:
        declared, objectives = load_space(space), parse_objectives(objective)  # mistakes are found before a download
        base, data = _base(recipe, dataset, data_dir, changes, terminal)
        check_space(declared, base)
        checksum = data.load("train").checksum()
        plan = Plan(name, base, declared, checksum, objectives, pruner, seed)
        folder = _create(plan, data, runs_dir, storage or "")
    _search(folder, _settle_limits(folder, limits), storage or "", confirm or 0, terminal)


def parse_duration(text: str) -> float:
    """Read `1h30m`, `45m` or `90s` as seconds.

    Raises:
        InputError: It is no duration above 0.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = sum(float(value) * _UNITS[unit] for unit, value in match.groupdict().items() if value) if match else 0
    if seconds <= 0:
        raise InputError(f"--time {text!r} is no duration. Write it as 1h30m, 45m or 90s.")
    return seconds


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as error:
        from mnist_cnn.errors import MissingExtraError

        raise MissingExtraError(str(error.name), "tune") from error


def _base(
    recipe: str | None, dataset: str | None, data_dir: Path | None, changes: dict[str, Any], terminal: Terminal
) -> tuple[Config, ResolvedDataset]:
    changes |= {"data.dataset": dataset} if dataset else {}
    wanted = override(load_recipe(recipe or DEFAULT_RECIPE), changes).data.dataset
    data = resolve(wanted, data_dir, terminal)
    recipe = recipe or (DEFAULT_SMALL_RECIPE if data.name == DIGITS else DEFAULT_RECIPE)
    base = override(load_recipe(recipe), {**changes, "data.dataset": data.name})
    if not base.data.validation:
        raise InputError("data.validation = 0 leaves nothing to choose by: the test set is not for that. Use 0.2.")
    return base, data


def _create(plan: Plan, data: ResolvedDataset, runs_dir: Path, storage: str) -> TuningFolder:
    from mnist_cnn.tuning.study import create_study

    folder = TuningFolder(create_run(runs_dir, plan.name).root)
    try:
        create_study(plan, folder, storage, _local(data))
    except BaseException:
        shutil.rmtree(folder.root, ignore_errors=True)  # made a moment ago, and nothing came of it
        raise
    return folder


def _join(
    name: str, storage: str | None, dataset: str | None, data_dir: Path | None, runs_dir: Path, terminal: Terminal
) -> TuningFolder:
    from mnist_cnn.tuning.study import find_plan, join_study

    if not storage:
        raise InputError("--join needs the database that the machines share. Name it with --storage postgresql://…")
    folder = TuningFolder(create_run(runs_dir, name).root)
    try:
        known = find_plan(name, folder, storage)
        data = resolve(dataset or (known.base.data.dataset if known else "auto"), data_dir, terminal)
        join_study(name, folder, storage, _local(data))
    except BaseException:
        shutil.rmtree(folder.root, ignore_errors=True)  # made a moment ago, and nothing came of it
        raise
    return folder


def _local(data: ResolvedDataset) -> dict[str, Any]:
    return {"dataset": data.name, "data_dir": str(data.data_dir.resolve()) if data.data_dir else None}


def _parse_limits(time: str | None, trials: int | None, workers: int) -> Limits:
    from mnist_cnn.tuning.bounds import Limits

    return Limits(trials or math.inf, parse_duration(time) if time else math.inf, workers)


def _settle_limits(folder: TuningFolder, given: Limits) -> Limits:
    """Take the limits that are given, else those of the session before, else half an hour."""
    from mnist_cnn.tuning.bounds import read_limits, save_limits

    bounded = min(given.trials, given.seconds) < math.inf
    limits = given if bounded else read_limits(folder) or replace(given, seconds=_DEFAULT_TIME)
    save_limits(folder, limits)
    return replace(limits, workers=given.workers)


def _refuse_changes(option: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"{option} goes on with the search's own settings, so {name} cannot be changed. Leave it out."
            )


def _search(folder: TuningFolder, limits: Limits, storage: str, seeds: int, terminal: Terminal) -> None:
    from mnist_cnn.cli.trials import TrialsView
    from mnist_cnn.tuning.results import read_results
    from mnist_cnn.tuning.search import search

    terminal.say(f"Searching in {folder.root}, {_describe(limits)}")
    interrupted = False
    try:
        with TrialsView(terminal, limits) as view:
            results = search(folder, limits, url=storage, on_look=view.show)
    except KeyboardInterrupt:
        interrupted = True
        results = read_results(folder, storage)
    report = _write_report(folder, storage)
    confirmed = None
    if seeds and results.best and not interrupted:
        confirmed, interrupted = _confirm(folder, results, seeds, terminal)
        report = _write_report(folder, storage)
    _show(folder, results, interrupted, terminal)
    terminal.say(f"Report: {report}")
    terminal.finish(
        {
            "tuning": str(folder.root),
            "recipe": str(folder.best) if results.best else None,
            "report": str(report),
            "interrupted": interrupted,
            "confirmation": confirmed.as_dict() if confirmed else None,
            **results.as_dict(),
        }
    )
    if interrupted:
        raise SystemExit(INTERRUPTED)


def _write_report(folder: TuningFolder, storage: str) -> Path:
    from mnist_cnn.tuning.report import write_report

    return write_report(folder, storage)


def _confirm(
    folder: TuningFolder, results: StudyResults, seeds: int, terminal: Terminal
) -> tuple[Confirmation | None, bool]:
    """Give what came out, and whether it was interrupted."""
    from mnist_cnn.cli.confirmation import confirm_best

    try:
        return confirm_best(folder, results, seeds, terminal), False
    except KeyboardInterrupt:
        terminal.say(f"  go on:        mnist-cnn tune --resume {folder.root} --confirm {seeds}")
        return None, True


def _show(folder: TuningFolder, results: StudyResults, interrupted: bool, terminal: Terminal) -> None:
    if interrupted:
        terminal.warn("Interrupted; all that was reached is kept.")
    best = results.best
    if best:
        terminal.say(f"Best: trial {best.number}, {best.values[0]:.2%} of the validation images.")
        terminal.table(["setting", "value"], best.settings.items())
        if len(results.objectives) > 1:
            _show_front(results, terminal)
        terminal.say(f"  train it:     mnist-cnn train --recipe {folder.best}")
    else:
        terminal.warn("No trial has come to its end yet.")
    terminal.say(f"  go on:        mnist-cnn tune --resume {folder.root} --time …")
    if folder.database.exists():
        terminal.say(f"  look at it:   optuna-dashboard {folder.database}")


def _show_front(results: StudyResults, terminal: Terminal) -> None:
    rows = [(trial.number, *trial.values, str(trial.run / CONFIG_NAME)) for trial in results.front]
    title = "Pareto front: no other trial is better in one of these and as good in all"
    terminal.table(["trial", *results.objectives, "recipe"], sorted(rows, key=lambda row: -row[1]), title=title)


def _describe(limits: Limits) -> str:
    bounds = [
        *([f"{limits.seconds / 60:.3g} minutes"] if limits.seconds < math.inf else []),
        *([f"{limits.trials:.0f} trials"] if limits.trials < math.inf else []),
    ]
    shared = f", {limits.workers} workers" if limits.workers > 1 else ""
    return f"for at most {' or '.join(bounds)}{shared}; Ctrl-C keeps what is done."
