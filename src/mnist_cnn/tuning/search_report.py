"""What a search leaves for its reader: pictures, and one page with all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from optuna.study import Study

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
from mnist_cnn.tuning.importance import FEWEST, importances
from mnist_cnn.tuning.plan import OBJECTIVES, Plan
from mnist_cnn.tuning.results import StudyResults, TrialResult, best_config, collect
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.study import open_plan, open_study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(folder: TuningFolder) -> Path:
    """Write pictures, the page and the recipes of the Pareto front into the folder of a search, finished or not.

    Returns:
        The page's path.

    Raises:
        InputError: The folder is not a search folder, its server cannot be reached, or a file is damaged.
        WriteError: The folder cannot be written.
    """
    plan, study = open_plan(folder), open_study(folder)
    results = collect(study, plan, folder)
    _save_front(folder, plan, results)
    for outdated in folder.figures.glob("*.png"):
        outdated.unlink()
    pictures = {}
    for name, figure in draw(study, results):
        pictures[name] = folder.figures / f"{name}.png"
        save(figure, pictures[name])
    write_text(folder.report, render_page(folder, plan, results, pictures))
    return folder.report


def draw(study: Study, results: StudyResults) -> Iterator[tuple[str, Figure]]:
    """Draw every picture that the results allow, as (name, figure), one at a time to save memory."""
    if results.best is None:
        return
    shown = figures.copy_study(study, results)
    yield "history", figures.search_history(shown)
    if any(trial.intermediate_values for trial in shown.trials):
        yield "curves", figures.trial_curves(shown)
    important = importances(study)
    shares = {name: each.share for name, each in important.items()}
    if shares:
        chance = {name: each.chance for name, each in important.items()}
        yield "importance", figures.setting_importance(shares, chance)
    if names := _interesting(results, results.best, shares):
        yield "slices", figures.setting_slices(shown, names)
        yield "coordinates", figures.parallel_coordinates(shown, names)
    for name, costs in _costs(results).items():
        yield f"front_{name}", figures.accuracy_against_cost(results, OBJECTIVES[name].title, costs)


def render_page(folder: TuningFolder, plan: Plan, results: StudyResults, pictures: Mapping[str, Path]) -> str:
    """Write the page as HTML that contains everything it shows, also the `pictures`, PNG files by name."""
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
        costs={name: OBJECTIVES[name].title for name in results.objectives[1:]},
        changes=_changes(plan.base, config) if config else [],
        recipe=tomli_w.dumps(config.to_dict()) if config else "",
        words=conclusions,
        limits=list(conclusions.limits(plan, results, images, confirmed)),
        confirmed=confirmed,
        confirmed_before=confirmed_before(folder, results),
        fewest=FEWEST,
        pictures=embed(pictures),
    )


def _save_front(folder: TuningFolder, plan: Plan, results: StudyResults) -> None:
    """Leave a recipe for each trial on the Pareto front: another machine may have trained it."""
    wanted = {folder.front(trial.number): trial for trial in results.front if len(results.objectives) > 1}
    for path in folder.front(0).parent.glob("*.toml"):
        if path not in wanted:
            path.unlink()
    for path, trial in wanted.items():
        save_config(path, best_config(results, plan, trial))


def _interesting(results: StudyResults, best: TrialResult, shares: Mapping[str, float]) -> list[str]:
    """Return the settings of the best trial that differ between trials, the most important first."""
    tried = {name: {trial.choices[name] for trial in results.trials if name in trial.choices} for name in best.choices}
    varied = [name for name, values in tried.items() if len(values) > 1]
    return sorted(varied, key=lambda name: -shares.get(name, 0.0))


def _costs(results: StudyResults) -> dict[str, dict[int, float]]:
    """Return the costs to draw accuracy against: the other objectives, or else what was counted of every network."""
    if len(results.objectives) > 1:
        return {
            name: {trial.number: trial.values[place] for trial in results.complete}
            for place, name in enumerate(results.objectives)
            if place
        }
    parameters = {trial.number: float(trial.parameters or 0) for trial in results.complete}
    multiply_adds = {trial.number: float(trial.multiply_adds or 0) for trial in results.complete}
    known = {"parameters": parameters, "multiply_adds": multiply_adds}
    return {name: costs for name, costs in known.items() if any(costs.values())}


def _changes(base: Config, found: Config) -> list[tuple[str, str, str]]:
    """List the settings of the best configuration that differ from the recipe: name, recipe's, best's."""
    before, after = (dict(flatten(config.to_dict())) for config in (base, found))
    names = [name for name in {**before, **after} if name not in WORDS_ONLY and before.get(name) != after.get(name)]
    rows = [(name, _cell(before, name), _cell(after, name)) for name in sorted(names)]
    return [row for row in rows if row[1] != row[2]]  # without `arguments` itself where one side has none


def _cell(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None or value == {}:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def _validation_images(plan: Plan, results: StudyResults) -> int | None:
    """Return how many images judged the trials; None if no trial was trained on this machine."""
    for trial in results.trials:
        run = RunFolder(trial.run)
        if run.environment.exists():
            data = run.read_json(run.environment)["data"]
            images = plan.base.data.per_class * len(data["classes"]) or data["images"]
            return round(images * plan.base.data.validation)
    return None
