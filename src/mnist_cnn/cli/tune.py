"""`mnist-cnn tune`: search for better settings, on validation data."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from mnist_cnn.cli.data import resolve
from mnist_cnn.cli.options import PATH, data_dir_option, json_option, set_option
from mnist_cnn.cli.terminal import INTERRUPTED, Terminal
from mnist_cnn.config import DEFAULT_RECIPE, DEFAULT_SMALL_RECIPE, Config, load_recipe, override, parse_setting
from mnist_cnn.datasets.catalog import DIGITS
from mnist_cnn.errors import MnistCnnError, SettingError
from mnist_cnn.runs import create_run
from mnist_cnn.tuning.declaration import DEFAULT_SPACE, check_space, corner_configs, load_space
from mnist_cnn.tuning.plan import Plan, Pruner, parse_objectives, parse_plan
from mnist_cnn.tuning.search_folder import TuningFolder

if TYPE_CHECKING:
    from mnist_cnn.datasets import ResolvedDataset
    from mnist_cnn.tuning.bounds import Limits
    from mnist_cnn.tuning.confirmation import Confirmation
    from mnist_cnn.tuning.results import StudyResults
    from mnist_cnn.tuning.space import Space

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_UNITS = {"h": 3600, "m": 60, "s": 1}
_DEFAULT_TIME = 1800.0  # seconds, where no limit is given
_RUNS = Path("runs")
_PRUNER: Pruner = "median"


@click.command()
@click.option("--recipe", help=f"The recipe to vary, by name or file (default: {DEFAULT_RECIPE}).")
@click.option("--space", help=f"What to vary, by name or TOML file (default: {DEFAULT_SPACE}).")
@click.option("--dataset", help="A known data set or a path (default: auto).")
@data_dir_option
@click.option("--epochs", type=int, help="Of a trial that is not pruned.")
@set_option("Any setting of the recipe, for all trials.")
@click.option("--objective", help="accuracy (default), or with parameters, multiply_adds or latency: a Pareto front.")
@click.option(
    "--pruner",
    type=click.Choice(get_args(Pruner)),
    help=f"What ends hopeless trials early (default: {_PRUNER}).",
)
@click.option("--time", metavar="1h30m", help="Search for so long (default: 30m); with --resume, so much longer.")
@click.option("--trials", type=click.IntRange(min=1), help="Search until so many trials.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes on this machine; they share its cores (default: 1).",
)
@click.option("--seed", type=click.IntRange(min=0), help="Fixes what is proposed (default: 0).")
@click.option("--name", help="The search's name (default: tuning).")
@click.option("--runs-dir", type=PATH, help=f"Where searches are kept (default: {_RUNS}).")
@click.option("--resume", type=PATH, metavar="FOLDER", help="Go on with a search.")
@click.option(
    "--storage",
    metavar="URL",
    envvar="MNIST_CNN_STORAGE",
    show_envvar=True,
    help="A database that machines share: postgresql://…; its password is safer in ~/.pgpass.",
)
@click.option("--join", metavar="NAME", help="Take part in a search in --storage.")
@click.option(
    "--confirm",
    type=click.IntRange(1, 100),
    metavar="SEEDS",
    help="At the end, train the best and the recipe on all training images with so many seeds, "
    "and compare them on the test set.",
)
@json_option
def tune(
    recipe: str | None,
    space: str | None,
    dataset: str | None,
    data_dir: Path | None,
    epochs: int | None,
    settings: tuple[str, ...],
    objective: str | None,
    pruner: Pruner | None,
    time: str | None,
    trials: int | None,
    workers: int | None,
    seed: int | None,
    name: str | None,
    runs_dir: Path | None,
    resume: Path | None,
    storage: str | None,
    join: str | None,
    confirm: int | None,
    as_json: bool,
) -> None:
    """Search for better settings, on validation data; resume, share the work, and keep the best as a recipe."""
    _require_optuna()
    terminal = Terminal(as_json)
    changes: dict[str, Any] = dict(parse_setting(text) for text in settings)
    changes |= {} if epochs is None else {"training.epochs": epochs}
    seconds = parse_duration(time) if time else math.inf
    settled = {"--recipe": recipe, "--space": space, "--objective": objective, "--pruner": pruner, "--seed": seed}
    settled |= {"--name": name, **changes}
    if resume:
        here = {"--join": join, "--dataset": dataset, "--data-dir": data_dir, "--runs-dir": runs_dir}
        _refuse_changes("--resume", {**settled, **here})
        folder = _open(resume, storage)
        if confirm:
            known = parse_plan(folder.read_plan(), str(folder.plan))
            _check_confirmable(known.space, known.base)
    elif join:
        _refuse_changes("--join", settled)
        folder = _join(join, storage, dataset, data_dir, runs_dir or _RUNS, terminal)
    else:
        # Mistakes are found before a download.
        _check_address(storage)
        declared, objectives = load_space(space or DEFAULT_SPACE), parse_objectives(objective or "accuracy")
        pruner = _choose_pruner(pruner, objectives)
        base, data = _base(recipe, dataset, data_dir, changes, terminal)
        check_space(declared, base)
        if confirm:
            _check_confirmable(declared, base)
        checksum = data.load("train").checksum()
        plan = Plan(name or "tuning", base, declared, checksum, objectives, pruner, seed or 0)
        folder = _create(plan, data, runs_dir or _RUNS, storage or "")
    limits = settle_limits(folder, trials, seconds, workers)
    _search(folder, limits, storage or "", confirm or 0, terminal)


def parse_duration(text: str) -> float:
    """Read `1h30m`, `45m` or `90s` as seconds.

    Raises:
        InputError: It is not a duration above 0.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = sum(float(value) * _UNITS[unit] for unit, value in match.groupdict().items() if value) if match else 0
    if seconds <= 0:
        raise SettingError(f"--time {text!r} is not a duration. Write it as 1h30m, 45m or 90s.")
    return seconds


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as error:
        from mnist_cnn.errors import MissingExtraError

        raise MissingExtraError(str(error.name), "tune") from error


def _check_address(storage: str | None) -> None:
    from mnist_cnn.tuning.storage import without_password

    if storage:
        without_password(storage)


def _base(
    recipe: str | None, dataset: str | None, data_dir: Path | None, changes: dict[str, Any], terminal: Terminal
) -> tuple[Config, ResolvedDataset]:
    changes |= {"data.dataset": dataset} if dataset else {}
    wanted = override(load_recipe(recipe or DEFAULT_RECIPE), changes).data.dataset
    data = resolve(wanted, data_dir, terminal)
    recipe = recipe or (DEFAULT_SMALL_RECIPE if data.name == DIGITS else DEFAULT_RECIPE)
    base = override(load_recipe(recipe), {**changes, "data.dataset": data.name})
    if not base.data.validation:
        raise SettingError("data.validation = 0 leaves nothing to choose by: the test set is not for that. Use 0.2.")
    return base, data


def _choose_pruner(given: Pruner | None, objectives: tuple[str, ...]) -> Pruner:
    if len(objectives) == 1:
        return given or _PRUNER
    if given not in (None, "none"):
        raise SettingError(
            f"--pruner {given} judges trials by one objective, and there are {len(objectives)}. Leave it out, or "
            "search with --objective accuracy."
        )
    return "none"


def _check_confirmable(space: Space, base: Config) -> None:
    from mnist_cnn.tuning.confirmation import check_confirmable

    for config in (base, *corner_configs(space, base)):  # found before the search, not after it
        check_confirmable(config)


def _open(root: Path, storage: str | None) -> TuningFolder:
    folder = TuningFolder(root)
    if storage and not folder.storage:
        raise SettingError(
            f"the search in {root} is not on a server: its study is {folder.database}. Leave --storage out, and unset "
            "MNIST_CNN_STORAGE."
        )
    return folder


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
        raise SettingError("--join needs the database that the machines share. Name it with --storage postgresql://…")
    folder = TuningFolder(create_run(runs_dir, name).root)
    try:
        known = find_plan(name, folder, storage)
        data = resolve(dataset or known.base.data.dataset, data_dir, terminal)
        join_study(known, folder, storage, _local(data))
    except BaseException:
        shutil.rmtree(folder.root, ignore_errors=True)  # made a moment ago, and nothing came of it
        raise
    return folder


def _local(data: ResolvedDataset) -> dict[str, Any]:
    return {"dataset": data.name, "data_dir": str(data.data_dir.resolve()) if data.data_dir else None}


def settle_limits(folder: TuningFolder, trials: int | None, seconds: float, workers: int | None) -> Limits:
    """Take the limits that are given, else those of the session before, else half an hour."""
    from mnist_cnn.tuning.bounds import Limits, read_limits

    limits = read_limits(folder) or Limits(seconds=_DEFAULT_TIME)
    if trials or seconds < math.inf:
        limits = replace(limits, trials=trials or math.inf, seconds=folder.seconds_used() + seconds)
    return replace(limits, workers=workers or limits.workers)


def _refuse_changes(option: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value is not None:
            raise SettingError(
                f"{option} goes on with the search's own settings, so {name} cannot be changed. Leave it out."
            )


def _search(folder: TuningFolder, limits: Limits, storage: str, seeds: int, terminal: Terminal) -> None:
    from mnist_cnn.cli.trials import TrialsView
    from mnist_cnn.tuning.results import read_results
    from mnist_cnn.tuning.search import search
    from mnist_cnn.tuning.search_report import write_report

    left = replace(limits, seconds=limits.seconds - folder.seconds_used())
    terminal.say(_describe(folder, left, read_results(folder, storage).ended))
    code = 0
    try:
        with TrialsView(terminal, left) as view:
            results = search(folder, limits, url=storage, on_look=view.show)
    except KeyboardInterrupt:
        code = INTERRUPTED
        results = read_results(folder, storage)
    write_report(folder, storage)
    confirmed = None
    if seeds and results.best and not code:
        confirmed, code = _confirm(folder, results, seeds, terminal)
        write_report(folder, storage)
    interrupted = code == INTERRUPTED
    _show(folder, results, limits, interrupted, terminal)
    terminal.finish(
        {
            "tuning": str(folder.root),
            "recipe": str(folder.best) if results.best else None,
            "report": str(folder.report),
            "interrupted": interrupted,
            "confirmation": confirmed.as_dict() if confirmed else None,
            **results.as_dict(),
        }
    )
    if code:
        raise SystemExit(code)


def _confirm(
    folder: TuningFolder, results: StudyResults, seeds: int, terminal: Terminal
) -> tuple[Confirmation | None, int]:
    """Give what came out, and the exit code: what the search came to is told even where its confirmation fails."""
    from mnist_cnn.cli.best_trial import confirm_best

    try:
        return confirm_best(folder, results, seeds, terminal), 0
    except KeyboardInterrupt:
        terminal.say(f"  go on:        {folder.resume_command} --confirm {seeds}")
        return None, INTERRUPTED
    except MnistCnnError as error:
        terminal.warn(f"The best trial is not confirmed: {error}")
        return None, error.exit_code


def _show(folder: TuningFolder, results: StudyResults, limits: Limits, interrupted: bool, terminal: Terminal) -> None:
    if interrupted:
        terminal.warn("Interrupted; all that was reached is kept.")
    best = results.best
    if best:
        terminal.say(f"Best: trial {best.number}, {best.values[0]:.2%} of the validation images.")
        terminal.table(["setting", "value"], best.settings.items())
        if len(results.objectives) > 1:
            _show_front(folder, results, terminal)
        terminal.say(f"  train it:     mnist-cnn train --recipe {folder.best}")
    else:
        terminal.warn("No trial has come to its end yet.")
    terminal.say(f"  go on:        {folder.resume_command} {more_options(limits, results.ended)}")
    if folder.storage:
        terminal.say("  its password: from ~/.pgpass, or in the address in MNIST_CNN_STORAGE")
    if folder.database.exists():
        terminal.say(f"  look at it:   {folder.dashboard_command}")
    terminal.say(f"Report: {folder.report}")


def _show_front(folder: TuningFolder, results: StudyResults, terminal: Terminal) -> None:
    rows = [(trial.number, *trial.values, str(folder.front(trial.number))) for trial in results.front]
    title = "Pareto front: no other trial is better in one of these and as good in all"
    terminal.table(["trial", *results.objectives, "recipe"], sorted(rows, key=lambda row: -row[1]), title=title)


def more_options(limits: Limits, ended: int) -> str:
    """Give the options by which the search goes on: of the kind that bounded it, and more than there is."""
    if limits.trials == math.inf:
        return "--time 30m"
    trials = f"--trials {max(limits.trials, 2 * ended):.0f}"
    return trials if limits.seconds == math.inf else f"{trials} --time 30m"


def _describe(folder: TuningFolder, left: Limits, ended: int) -> str:
    if left.trials <= ended:
        return f"The search in {folder.root} has {_trials(ended)} already; ask for more with --trials {2 * ended}."
    if left.seconds <= 0:
        return f"The time of the search in {folder.root} is up; give it more with --time 30m."
    bounds = [
        *([f"{left.seconds / 60:.3g} minutes"] if left.seconds < math.inf else []),
        *([_trials(left.trials)] if left.trials < math.inf else []),
    ]
    shared = f", {left.workers} workers" if left.workers > 1 else ""
    return f"Searching in {folder.root}, for at most {' or '.join(bounds)}{shared}; Ctrl-C keeps what is done."


def _trials(count: float) -> str:
    return "1 trial" if count == 1 else f"{count:.0f} trials"
