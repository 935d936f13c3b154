"""The best trial's settings compared with the recipe's, over several seeds, on images that chose nothing.

Both are trained on all training images, validation included, and evaluated once per run on the test set. `retraining`
trains them; this module says what is trained, and reads the results.
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


@dataclass(frozen=True)
class Spread:
    """Numbers from several seeds."""

    mean: float
    deviation: float | None  # standard deviation; None for a single seed


@dataclass(frozen=True)
class Pair:
    """The two networks of one seed on the test set."""

    seed: int  # not the trials' seed, which helped to choose the settings
    recipe: float  # accuracy, 0 … 1
    found: float
    test: PairedTest  # the recipe's network first

    @property
    def gain(self) -> float:
        """The accuracy gained by the settings found."""
        return self.found - self.recipe


@dataclass(frozen=True)
class Confirmation:
    """The best trial's settings compared with the recipe's."""

    trial: int  # whose settings were compared
    images: int  # in the test set
    epochs: tuple[int, int]  # of the recipe's runs, and of the other runs
    pairs: tuple[Pair, ...]  # one per seed, at least one

    @property
    def recipe(self) -> Spread:
        """The accuracy of the recipe's networks."""
        return _spread([pair.recipe for pair in self.pairs])

    @property
    def found(self) -> Spread:
        """The accuracy of the networks with the settings found."""
        return _spread([pair.found for pair in self.pairs])

    @property
    def difference(self) -> Spread:
        """The accuracy gained by the settings found, per seed."""
        return _spread([pair.gain for pair in self.pairs])

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the mean difference; None for a single seed.

        Student's t over the differences per seed covers variation in training, not that of the test images.
        """
        count, difference = len(self.pairs), self.difference
        if difference.deviation is None:
            return None
        half = float(stats.t.ppf(0.975, count - 1)) * difference.deviation / math.sqrt(count)
        return difference.mean - half, difference.mean + half

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, ready for JSON."""
        spreads = {name: dataclasses.asdict(getattr(self, name)) for name in ("recipe", "found", "difference")}
        return {**dataclasses.asdict(self), **spreads, "interval": self.interval}


@dataclass(frozen=True)
class Retraining:
    """One network to train on all training images."""

    run: RunFolder
    config: Config


def check_confirmable(config: Config) -> None:
    """Check that these settings work without held-out images.

    Raises:
        SettingError: They depend on held-out images.
    """
    if config.training.reduce_on_plateau:
        raise SettingError(
            "--confirm holds out no images, but reduce_on_plateau lowers the learning rate by held-out images. "
            "Search with --set training.reduce_on_plateau=0, or with a recipe that has a schedule."
        )


def retrainings(folder: TuningFolder, plan: Plan, results: StudyResults, step: int) -> tuple[Retraining, Retraining]:
    """Return what to train with one seed: the search's recipe, and the best trial's settings.

    Args:
        folder: Of the search.
        plan: Of the search.
        results: Of the search.
        step: From 1: the distance of the seed from the trials' seed.

    Raises:
        RunFolderError: No trial is complete.
    """
    best = results.best
    config = best_config(results, plan)
    assert best is not None  # noqa: S101 - best_config raises an error if it is None
    seed = plan.base.training.seed + step
    recipe, found = (folder.confirmation(f"{name}-seed-{seed}") for name in ("recipe", f"trial-{best.number:04d}"))
    return (
        _retraining(recipe, plan.base, plan.base.training.epochs, seed),
        _retraining(found, config, found_epochs(config, best), seed),
    )


def found_epochs(config: Config, trial: TrialResult) -> int:
    """Return how many epochs to train without held-out images.

    A schedule runs to its end. With a constant rate, training ends with the epoch whose weights were kept.

    Raises:
        RunFolderError: The trial does not record that epoch.
    """
    if config.optimizer.schedule != "constant":
        return config.training.epochs
    if trial.kept_epoch is None:
        raise RunFolderError(f"trial {trial.number} does not record which epoch it kept. Start a new search.")
    return trial.kept_epoch


def read_confirmation(folder: TuningFolder, plan: Plan, results: StudyResults) -> Confirmation | None:
    """Read what is confirmed of the best trial so far; None if no seed is finished.

    Raises:
        RunFolderError: A file of a run is damaged.
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
    """Whether the run is trained and evaluated on the test set."""
    return run.finished and run.metrics.exists()


def confirmed_before(folder: TuningFolder, results: StudyResults) -> list[str]:
    """Return the names of the trials that were confirmed as the best, and no longer are."""
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
        raise RunFolderError(f"{outcome.summary} Remove {found.run.root.parent}, then confirm again.")
    before, after = comparison.metrics["accuracy"]
    return Pair(recipe.config.training.seed, before, after, outcome.test)


def _spread(values: list[float]) -> Spread:
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
