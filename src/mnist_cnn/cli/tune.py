"""`mnist-cnn tune`: search for better settings, on validation data."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnist_cnn.cli.data import DATASET, resolve
from mnist_cnn.cli.options import PATH, InWords, NameOrPath, data_dir_option, json_option, ray_option, set_option
from mnist_cnn.cli.terminal import INTERRUPTED, Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.config import (
    DEFAULT_RECIPE,
    DEFAULT_SMALL_RECIPE,
    Config,
    load_recipe,
    override,
    parse_setting,
    recipe_names,
)
from mnist_cnn.datasets.catalog import DIGITS
from mnist_cnn.errors import MnistCnnError, SettingError, requires_extra
from mnist_cnn.evaluation.narrative import count
from mnist_cnn.runs import create_run
from mnist_cnn.tuning.declaration import DEFAULT_SPACE, check_space, corner_configs, load_space, space_names
from mnist_cnn.tuning.plan import OBJECTIVES, PRUNER_NAMES, SAMPLER_NAMES, Plan, parse_objectives, parse_plan
from mnist_cnn.tuning.search_folder import TuningFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnist_cnn.datasets import ResolvedDataset
    from mnist_cnn.tuning.bounds import Limits
    from mnist_cnn.tuning.confirmation import Confirmation
    from mnist_cnn.tuning.results import StudyResults
    from mnist_cnn.tuning.space import Space

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_UNITS = {"h": 3600, "m": 60, "s": 1}
_DEFAULT_TIME = 1800.0  # seconds, if no limit is given
_ON_EACH_MACHINE = ("dataset", "data_dir", "runs_dir")  # options that --join takes as well

_AT_LEAST_1 = click.IntRange(min=1)


@click.command(cls=Verb, example="mnist-cnn tune --time 30m --confirm 3")
@click.option(
    "--recipe",
    type=NameOrPath(recipe_names),
    help=f"Recipe to vary: a name or a TOML file (default: {DEFAULT_RECIPE}).",
)
@click.option(
    "--space", type=NameOrPath(space_names), help=f"Search space: a name or a TOML file (default: {DEFAULT_SPACE})."
)
@click.option("--dataset", type=DATASET, help="Name from mnist-cnn datasets, or a path (default: auto).")
@data_dir_option
@click.option("--epochs", type=int, help="Maximum number of epochs per trial, at least 1.")
@set_option("Set any setting of the recipe, in all trials.")
@click.option("--objective", help=f"One or several of {','.join(OBJECTIVES)} for a Pareto front (default: accuracy).")
@click.option("--sampler", type=click.Choice(SAMPLER_NAMES), help="Sampler that proposes settings (default: tpe).")
@click.option(
    "--pruner", type=click.Choice(PRUNER_NAMES), help="Pruner that stops unpromising trials (default: median)."
)
@click.option("--time", metavar="1h30m", help="Stop after this time; with --resume, after this additional time.")
@click.option(
    "--trials", cls=InWords, type=_AT_LEAST_1, metavar="INTEGER", help="Stop after this many trials, at least 1."
)
@click.option(
    "--workers",
    cls=InWords,
    type=_AT_LEAST_1,
    metavar="INTEGER",
    help="Processes on this machine, or with --ray on each machine, at least 1, which share its cores (default: 1).",
)
@click.option(
    "--seed",
    cls=InWords,
    type=click.IntRange(min=0),
    metavar="INTEGER",
    help="Seed of the proposals, at least 0 (default: 0).",
)
@click.option("--name", help="Name of the search (default: tuning).")
@click.option("--runs-dir", type=PATH, help="Parent folder of searches (default: runs).")
@click.option("--resume", type=PATH, metavar="FOLDER", help="Continue this search.")
@click.option(
    "--storage",
    metavar="URL",
    envvar="MNIST_CNN_STORAGE",
    show_envvar=True,
    help="Database that several machines share: postgresql://… Keep its password in ~/.pgpass.",
)
@click.option("--join", metavar="NAME", help="Join the search of this name in --storage.")
@ray_option("Train the trials", "Its machines must share the folder of the search. Needs the extra ray.")
@click.option(
    "--confirm",
    cls=InWords,
    type=click.IntRange(1, 100),
    metavar="SEEDS",
    help="Finally, train the best settings and the recipe on all training images with this many seeds, 1 to 100, and "
    "compare them on the test set.",
)
@json_option
def tune(
    resume: Path | None,
    join: str | None,
    storage: str | None,
    time: str | None,
    trials: int | None,
    workers: int | None,
    ray: str | None,
    confirm: int | None,
    as_json: bool,
    settings: tuple[str, ...],
    epochs: int | None,
    **given: Any,
) -> None:
    """Search for better settings on validation data.

    The best ones are saved as a recipe. Without limits, the search takes 30 minutes.
    """
    _require_optuna()
    terminal = Terminal(as_json)
    changes: dict[str, Any] = dict(parse_setting(text) for text in settings)
    changes |= {} if epochs is None else {"training.epochs": epochs}
    seconds = math.inf if time is None else parse_duration(time)
    with _connected(ray) as ray_head:  # first: without a cluster, no search begins
        if resume:
            _refuse_changes("--resume", {**given, "join": join}, changes)
            folder = _open(resume, storage, confirm)
        elif join is not None:
            _refuse_changes("--join", {name: given[name] for name in given if name not in _ON_EACH_MACHINE}, changes)
            folder = _join(join, storage, given, terminal)
        else:
            folder = _start(given, changes, storage, confirm, terminal)
        _search(folder, settle_limits(folder, trials, seconds, workers), ray_head, confirm or 0, terminal)


def _connected(ray: str | None) -> AbstractContextManager[str | None]:
    """Return the connection to a Ray cluster, if one is to be used."""
    if ray is None:
        return nullcontext()
    from mnist_cnn.cluster.connection import connected

    return connected(ray)


def parse_duration(text: str) -> float:
    """Read `1h30m`, `45m` or `90s` as seconds.

    Raises:
        SettingError: It is not a duration above 0.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = sum(float(value) * _UNITS[unit] for unit, value in match.groupdict().items() if value) if match else 0
    if seconds <= 0:
        raise SettingError(f"--time {text!r} is not a duration. Write it as 1h30m, 45m or 90s.")
    return seconds


def settle_limits(folder: TuningFolder, trials: int | None, seconds: float, workers: int | None) -> Limits:
    """Return the limits of this session: those given, else those of the last session, else half an hour."""
    from mnist_cnn.tuning.bounds import Limits, read_limits

    limits = read_limits(folder) or Limits(seconds=_DEFAULT_TIME)
    if trials or seconds < math.inf:
        limits = replace(limits, trials=trials or math.inf, seconds=folder.seconds_used() + seconds)
    return replace(limits, workers=workers or limits.workers)


def more_options(limits: Limits, ended: int) -> str:
    """Return the options that continue the search: a higher limit of the kind that was given."""
    if limits.trials == math.inf:
        return "--time 30m"
    trials = f"--trials {max(limits.trials, 2 * ended):.0f}"
    return trials if limits.seconds == math.inf else f"{trials} --time 30m"


def _require_optuna() -> None:
    with requires_extra("tune"):
        import optuna  # noqa: F401


def _refuse_changes(option: str, given: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    words = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if named := [*words, *changes]:
        raise SettingError(f"{option} uses the settings of the search, so {named[0]} cannot be changed. Omit it.")


def _start(
    given: dict[str, Any], changes: dict[str, Any], storage: str | None, confirm: int | None, terminal: Terminal
) -> TuningFolder:
    """Create a search; mistakes are found before a download."""
    from mnist_cnn.tuning.storage import without_password
    from mnist_cnn.tuning.study import create_study

    if storage:
        without_password(storage)
    space, objectives = load_space(given["space"] or DEFAULT_SPACE), parse_objectives(given["objective"] or "accuracy")
    pruner = given["pruner"] or ("none" if len(objectives) > 1 else Plan.pruner)
    if len(objectives) > 1 and pruner != "none":
        raise SettingError(
            f"--pruner {pruner} works with one objective, not with {len(objectives)}. Leave it out, or use "
            "--objective accuracy."
        )
    base, data = _base(given, changes, terminal)
    check_space(space, base)
    if confirm:
        _check_confirmable(space, base)
    checksum, seed = data.load("train").checksum(), given["seed"] or 0
    name, sampler = given["name"] or "tuning", given["sampler"] or Plan.sampler
    plan = Plan(name, base, space, checksum, objectives, pruner, seed, sampler=sampler)
    with _new_folder(given["runs_dir"], plan.name, storage) as folder:
        create_study(plan, folder, data)
    return folder


def _base(given: Mapping[str, Any], changes: dict[str, Any], terminal: Terminal) -> tuple[Config, ResolvedDataset]:
    changes |= {"data.dataset": given["dataset"]} if given["dataset"] else {}
    wanted = override(load_recipe(given["recipe"] or DEFAULT_RECIPE), changes).data.dataset
    data = resolve(wanted, given["data_dir"], terminal)
    recipe = given["recipe"] or (DEFAULT_SMALL_RECIPE if data.name == DIGITS else DEFAULT_RECIPE)
    base = override(load_recipe(recipe), {**changes, "data.dataset": data.name})
    if not base.data.validation:
        raise SettingError("data.validation = 0 leaves no images to choose by. Use 0.2; the test set is not for that.")
    return base, data


def _check_confirmable(space: Space, base: Config) -> None:
    from mnist_cnn.tuning.confirmation import check_confirmable

    for config in (base, *corner_configs(space, base)):
        check_confirmable(config)


def _open(root: Path, storage: str | None, confirm: int | None) -> TuningFolder:
    folder = TuningFolder(root, storage or "")
    if storage and not folder.storage:
        raise SettingError(
            f"the search in {root} is not on a server; its study is {folder.database}. Leave out --storage, and unset "
            "MNIST_CNN_STORAGE."
        )
    if confirm:
        plan = parse_plan(folder.read_plan(), str(folder.plan))
        _check_confirmable(plan.space, plan.base)
    return folder


def _join(name: str, storage: str | None, given: Mapping[str, Any], terminal: Terminal) -> TuningFolder:
    from mnist_cnn.tuning.study import find_plan, join_study

    if not storage:
        raise SettingError("--join needs the shared database. Give it with --storage postgresql://…")
    with _new_folder(given["runs_dir"], name, storage) as folder:
        known = find_plan(name, folder)
        data = resolve(given["dataset"] or known.base.data.dataset, given["data_dir"], terminal)
        join_study(known, folder, data)
    return folder


@contextmanager
def _new_folder(runs_dir: Path | None, name: str, storage: str | None) -> Iterator[TuningFolder]:
    """Create a search folder; remove it if the block fails."""
    folder = TuningFolder(create_run(runs_dir or Path("runs"), name).root, storage or "")
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder.root, ignore_errors=True)
        raise


def _search(folder: TuningFolder, limits: Limits, ray_head: str | None, seeds: int, terminal: Terminal) -> None:
    from mnist_cnn.cli.trials import TrialsView
    from mnist_cnn.tuning.results import read_results
    from mnist_cnn.tuning.search import search
    from mnist_cnn.tuning.search_report import write_report

    left = replace(limits, seconds=limits.seconds - folder.seconds_used())
    terminal.say(_describe(folder, left, read_results(folder).ended, ray_head is not None))
    code = 0
    try:
        with TrialsView(terminal, left) as view:
            results = search(folder, limits, on_look=view.show, ray_head=ray_head)
    except KeyboardInterrupt:
        code = INTERRUPTED
        results = read_results(folder)
    write_report(folder)
    confirmed = None
    if seeds and results.best and not code:
        confirmed, code = _confirm(folder, results, seeds, terminal)
        write_report(folder)
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
    """Return the confirmation and the exit code: the results of the search are shown even if it fails."""
    from mnist_cnn.cli.best_trial import confirm_best

    try:
        return confirm_best(folder, results, seeds, terminal), 0
    except KeyboardInterrupt:
        terminal.say(f"  continue:     {folder.resume_command} --confirm {seeds}")
        return None, INTERRUPTED
    except MnistCnnError as error:
        terminal.warn(f"The best trial could not be confirmed: {error}")
        return None, error.exit_code


def _show(folder: TuningFolder, results: StudyResults, limits: Limits, interrupted: bool, terminal: Terminal) -> None:
    if interrupted:
        terminal.warn("Interrupted; all results so far are kept.")
    if best := results.best:
        terminal.say(f"Best: trial {best.number}, {best.values[0]:.2%} of the validation images correct.")
        terminal.table(["setting", "value"], best.settings.items())
        if len(results.objectives) > 1:
            rows = [(trial.number, *trial.values, str(folder.front(trial.number))) for trial in results.front]
            title = "Pareto front: no other trial is better in one objective and as good in all"
            terminal.table(["trial", *results.objectives, "recipe"], sorted(rows, key=lambda row: -row[1]), title=title)
        terminal.say(f"  train it:     {folder.train_command}")
    else:
        terminal.warn("No trial is complete yet.")
    terminal.say(f"  continue:     {folder.resume_command} {more_options(limits, results.ended)}")
    if folder.storage:
        terminal.say("  its password: in ~/.pgpass, or in the address in MNIST_CNN_STORAGE")
    if folder.database.exists() and shutil.which("optuna-dashboard"):
        terminal.say(f"  explore it:   {folder.dashboard_command}")
    terminal.say(f"Report: {folder.report}")


def _describe(folder: TuningFolder, left: Limits, ended: int, on_ray: bool) -> str:
    if left.trials <= ended:
        return (
            f"The search in {folder.root} already has {count(ended, 'trial')}. Raise the limit with "
            f"--trials {2 * ended}."
        )
    if left.seconds <= 0:
        return f"The search in {folder.root} has used up its time. Give it more with --time 30m."
    bounds = [
        *([f"{left.seconds / 60:.3g} minutes"] if left.seconds < math.inf else []),
        *([count(int(left.trials), "trial")] if left.trials < math.inf else []),
    ]
    workers = f"{left.workers} workers" if left.workers > 1 else ""
    if on_ray:
        workers = f"{workers} on each machine of Ray" if workers else "on Ray"
    shared = f", {workers}" if workers else ""
    return f"Searching in {folder.root} for at most {' or '.join(bounds)}{shared}. Ctrl-C keeps the results."
