"""What the best trial's settings are worth on images that chose nothing: beside the recipe's, over several seeds.

Both are trained on all training images, validation included, and read the test set once per run. The training is
`retraining`'s; here is what is trained, and what came of it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from dataclasses import dataclass
from typing import Any

from scipy import stats

from mnist_cnn.config import Config, override
from mnist_cnn.errors import RunFolderError, SettingError
from mnist_cnn.evaluation.comparison import compare
from mnist_cnn.evaluation.metrics import PairedTest
from mnist_cnn.runs import RunFolder
from mnist_cnn.tuning.plan import Plan
from mnist_cnn.tuning.results import StudyResults, TrialResult, best_config
from mnist_cnn.tuning.search_folder import TuningFolder

_RECIPE = "recipe"  # how the runs of the search's recipe are called


@dataclass(frozen=True)
class Spread:
    """Numbers of several seeds."""

    mean: float
    deviation: float | None  # standard deviation; None of a single one


@dataclass(frozen=True)
class Pair:
    """The two networks of one seed on the test set."""

    seed: int  # none of the trials', since that one helped to choose the settings
    recipe: float  # accuracy, 0 … 1
    found: float
    test: PairedTest  # the recipe's network first

    @property
    def gain(self) -> float:
        """What the settings that were found gain."""
        return self.found - self.recipe


@dataclass(frozen=True)
class Confirmation:
    """The best trial's settings beside the recipe's."""

    trial: int  # whose settings
    images: int  # in the test set
    epochs: tuple[int, int]  # of the recipe's runs and of the others
    pairs: tuple[Pair, ...]  # one per seed, at least one

    @property
    def recipe(self) -> Spread:
        """The accuracy of the recipe's networks."""
        return _spread([pair.recipe for pair in self.pairs])

    @property
    def found(self) -> Spread:
        """The accuracy of the networks with the settings that were found."""
        return _spread([pair.found for pair in self.pairs])

    @property
    def difference(self) -> Spread:
        """What the settings that were found gain, per seed."""
        return _spread([pair.gain for pair in self.pairs])

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the mean difference lies over all seeds with 95 % confidence; None of a single one.

        Student's t over the differences per seed: it holds the luck of training, not that of the test images.
        """
        count, difference = len(self.pairs), self.difference
        if difference.deviation is None:
            return None
        half = float(stats.t.ppf(0.975, count - 1)) * difference.deviation / math.sqrt(count)
        return difference.mean - half, difference.mean + half

    def as_dict(self) -> dict[str, Any]:
        """Give plain dictionaries, lists and numbers, ready for JSON."""
        spreads = {name: dataclasses.asdict(getattr(self, name)) for name in ("recipe", "found", "difference")}
        return {**dataclasses.asdict(self), **spreads, "interval": self.interval}


@dataclass(frozen=True)
class Retraining:
    """One network to train on all training images."""

    run: RunFolder
    config: Config


def check_confirmable(config: Config) -> None:
    """See that these settings mean the same where no images are held out.

    Raises:
        InputError: They follow the held-out images.
    """
    if config.training.reduce_on_plateau:
        raise SettingError(
            "--confirm holds no images out, and reduce_on_plateau lowers the learning rate by held-out images. "
            "Search with --set training.reduce_on_plateau=0, or with a recipe that has a schedule."
        )


def retrainings(folder: TuningFolder, plan: Plan, results: StudyResults, step: int) -> tuple[Retraining, Retraining]:
    """Give what is to be trained with a seed: the search's recipe, and the best trial's settings.

    Args:
        folder: Of the search.
        plan: Of the search.
        results: Of the search.
        step: From 1: how far the seed is from the one that all trials share.

    Raises:
        InputError: No trial has come to its end.
    """
    best = results.best
    config = best_config(results, plan)
    assert best is not None  # noqa: S101 - best_config has seen to it
    seed = plan.base.training.seed + step
    recipe, found = (folder.confirmation(f"{name}-seed-{seed}") for name in (_RECIPE, f"trial-{best.number:04d}"))
    return (
        _retraining(recipe, plan.base, plan.base.training.epochs, seed),
        _retraining(found, config, found_epochs(config, best), seed),
    )


def found_epochs(config: Config, trial: TrialResult) -> int:
    """Give how long to train where nothing is held out that could say when to stop.

    A schedule is gone through to its end. With a constant rate training ends with the epoch whose weights were kept.

    Raises:
        InputError: The trial does not say which that was.
    """
    if config.optimizer.schedule != "constant":
        return config.training.epochs
    if trial.kept_epoch is None:
        raise RunFolderError(f"trial {trial.number} does not say which epoch's weights it kept. Begin a new search.")
    return trial.kept_epoch


def read_confirmation(folder: TuningFolder, plan: Plan, results: StudyResults) -> Confirmation | None:
    """Read what has been confirmed of the best trial so far; None if no seed is done.

    Raises:
        InputError: A file of a run is damaged.
    """
    if results.best is None:
        return None
    wanted = (retrainings(folder, plan, results, step) for step in itertools.count(1))
    done = list(itertools.takewhile(_is_done, wanted))
    if not done:
        return None
    pairs = tuple(_compare(recipe, found) for recipe, found in done)
    recipe, found = done[0]
    epochs = (recipe.config.training.epochs, found.config.training.epochs)
    return Confirmation(results.best.number, pairs[0].test.n, epochs, pairs)


def is_measured(run: RunFolder) -> bool:
    """Say whether the run is trained and has read the test set."""
    return run.finished and run.metrics.exists()


def confirmed_before(folder: TuningFolder, results: StudyResults) -> list[str]:
    """Give the names of the trials that were confirmed when they were the best, and are it no more."""
    best = f"trial-{results.best.number:04d}" if results.best else ""
    runs = folder.confirmation("").root.glob("trial-*")
    return sorted({run.name.rpartition("-seed-")[0] for run in runs if is_measured(RunFolder(run))} - {best})


def _retraining(run: RunFolder, config: Config, epochs: int, seed: int) -> Retraining:
    settings = {
        "title": f"{config.title or config.model.architecture}; on all training images",
        "expected_accuracy": "",
        "expected_time": "",
        "data.validation": 0.0,
        "training.epochs": epochs,
        "training.early_stopping": 0,
        "training.keep": "last",
        "training.seed": seed,
    }
    return Retraining(run, override(config, settings))


def _is_done(pair: tuple[Retraining, Retraining]) -> bool:
    return all(is_measured(each.run) for each in pair)


def _compare(recipe: Retraining, found: Retraining) -> Pair:
    comparison = compare((recipe.run, found.run))
    outcome = comparison.tests[0]
    if outcome.test is None:
        raise RunFolderError(f"{outcome.summary} Remove {found.run.root.parent}, and confirm again.")
    before, after = comparison.metrics["accuracy"]
    return Pair(recipe.config.training.seed, before, after, outcome.test)


def _spread(values: list[float]) -> Spread:
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
