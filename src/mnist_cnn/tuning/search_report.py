"""What a search leaves for its reader: pictures, and one page with them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from mnist_cnn.config import Config, flatten, save_config
from mnist_cnn.evaluation.comparison import WORDS_ONLY
from mnist_cnn.evaluation.figures.style import save
from mnist_cnn.evaluation.narrative import plain
from mnist_cnn.evaluation.templates import render
from mnist_cnn.evaluation.templates.pictures import embed
from mnist_cnn.files import write_text
from mnist_cnn.runs import RunFolder
from mnist_cnn.tuning import conclusions, figures
from mnist_cnn.tuning.confirmation import confirmed_before, read_confirmation
from mnist_cnn.tuning.importance import FEWEST, Importance, importances
from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.results import StudyResults, TrialResult, best_config, collect
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.space import Range
from mnist_cnn.tuning.study import open_plan, open_study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(folder: TuningFolder, url: str = "") -> Path:
    """Write pictures, the page and the front's recipes into a search's folder; an unfinished one is told as it stands.

    Args:
        folder: Of the search.
        url: Of the database server; empty for what the search remembers.

    Returns:
        The page's path.

    Raises:
        InputError: The folder holds no search, its server cannot be reached, or a file is damaged.
        WriteError: The folder cannot be written.
    """
    plan, study = open_plan(folder), open_study(folder, url)
    results = collect(study, plan, folder)
    _save_front(folder, plan, results)
    pictures = _save_figures(folder.figures, draw(plan, results, importances(study)))
    write_text(folder.report, render_page(folder, plan, results, pictures))
    return folder.report


def draw(plan: Plan, results: StudyResults, important: Mapping[str, Importance]) -> Iterator[tuple[str, Figure]]:
    """Draw every picture that the results allow, as (name, figure), one at a time to save memory.

    Args:
        plan: Of the search.
        results: Of the search.
        important: The importance of settings; empty where it is not known.
    """
    best = results.best
    if best is None:
        return
    trials = results.trials
    yield "history", figures.search_history(trials, best.number)
    yield "curves", figures.trial_curves(trials, best.number)
    shares = {name: each.share for name, each in important.items()}
    if shares:
        chance = {name: each.chance for name, each in important.items()}
        yield "importance", figures.setting_importance(shares, chance)
    names, logarithmic = _interesting(results, best, shares), _logarithmic(plan)
    if names:
        yield "slices", figures.setting_slices(trials, names, logarithmic, best.number)
        yield "coordinates", figures.parallel_coordinates(trials, names, logarithmic, best.number)
    if costs := _costs(results):
        yield "front", figures.accuracy_against_cost(trials, costs, best.number)


def render_page(folder: TuningFolder, plan: Plan, results: StudyResults, pictures: Mapping[str, Path]) -> str:
    """Write the page as HTML that holds everything it shows and asks no host for anything.

    Args:
        folder: Of the search.
        plan: Of the search.
        results: Of the search.
        pictures: PNG files by name, as `draw` names them.
    """
    best = results.best
    config = best_config(results, plan) if best else None
    confirmed = read_confirmation(folder, plan, results)
    images = _validation_images(plan, results)
    return render(
        "tuning.html",
        folder=folder,
        plan=plan,
        results=results,
        best=best,
        states=Counter(trial.state for trial in results.trials if not trial.too_large),
        seconds=folder.seconds_used(),
        processor_seconds=sum(trial.cpu_seconds or 0 for trial in results.trials),
        costs={name: conclusions.COSTS[name] for name in results.objectives[1:]},
        verdict=conclusions.verdict(results),
        method=conclusions.method(plan, results),
        changes=_changes(plan.base, config) if config else [],
        recipe=tomli_w.dumps(config.to_dict()) if config else "",
        settings=conclusions.settings(plan.space, best.choices if best else {}),
        fixed=conclusions.fixed(plan.space),
        failures=conclusions.failures(results),
        limits=list(conclusions.limits(plan, results, images, confirmed)),
        confirmed=confirmed,
        confirmation_verdict=conclusions.confirmation_verdict(confirmed) if confirmed else "",
        confirmed_before=confirmed_before(folder, results),
        choices=conclusions.choices,
        spread=conclusions.spread,
        points=conclusions.points,
        fewest=FEWEST,
        pictures=embed(pictures),
    )


def _save_front(folder: TuningFolder, plan: Plan, results: StudyResults) -> None:
    """Leave a recipe for each trial on the Pareto front: the machine that trained it may be another one."""
    wanted = {folder.front(trial.number): trial for trial in results.front if len(results.objectives) > 1}
    for path in folder.front(0).parent.glob("*.toml"):
        if path not in wanted:
            path.unlink()
    for path, trial in wanted.items():
        save_config(path, best_config(results, plan, trial))


def _save_figures(folder: Path, drawn: Iterator[tuple[str, Figure]]) -> dict[str, Path]:
    for outdated in folder.glob("*.png"):
        outdated.unlink()
    saved = {}
    for name, figure in drawn:
        saved[name] = folder / f"{name}.png"
        save(figure, saved[name])
    return saved


def _interesting(results: StudyResults, best: TrialResult, shares: Mapping[str, float]) -> list[str]:
    """Give the settings of the best trial that differ between trials, the most important first."""
    tried = {name: {trial.choices[name] for trial in results.trials if name in trial.choices} for name in best.choices}
    varied = [name for name, values in tried.items() if len(values) > 1]
    return sorted(varied, key=lambda name: -shares.get(name, 0.0))


def _logarithmic(plan: Plan) -> set[str]:
    return {
        name
        for part in plan.space.parts
        for setting in part.settings
        for name, domain, _ in setting.domains()
        if isinstance(domain, Range) and domain.log
    }


def _costs(results: StudyResults) -> dict[str, dict[int, float]]:
    """Give what to draw accuracy against: the objectives, or else what is measured of every trial."""
    judged = dict(enumerate(results.objectives[1:], start=1))
    if judged:
        return {
            conclusions.COSTS[name]: {trial.number: trial.values[place] for trial in results.complete}
            for place, name in judged.items()
        }
    measured = {
        "parameters": {trial.number: trial.parameters for trial in results.complete},
        "multiply_adds": {trial.number: trial.multiply_adds for trial in results.complete},
    }
    known = {name: {n: float(cost) for n, cost in costs.items() if cost} for name, costs in measured.items()}
    return {conclusions.COSTS[name]: costs for name, costs in known.items() if costs}


def _changes(base: Config, found: Config) -> list[tuple[str, str, str]]:
    """List the settings in which the best configuration differs from the recipe: name, recipe's, best's."""
    before, after = (dict(flatten(config.to_dict())) for config in (base, found))
    names = [name for name in {**before, **after} if name not in WORDS_ONLY and before.get(name) != after.get(name)]
    rows = [(name, _cell(before, name), _cell(after, name)) for name in sorted(names)]
    return [row for row in rows if row[1] != row[2]]  # without arguments as a whole, where one has none


def _cell(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None or value == {}:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def _validation_images(plan: Plan, results: StudyResults) -> int | None:
    """Give how many images judged the trials; None where no trial was trained on this machine."""
    for trial in results.trials:
        run = RunFolder(trial.run)
        if run.environment.exists():
            data = run.read_json(run.environment)["data"]
            images = plan.base.data.per_class * len(data["classes"]) or data["images"]
            return round(images * plan.base.data.validation)
    return None
