"""Confirmation of the best trial: on all training images, with other seeds, next to the recipe, and only once."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from late import Late
from mnist_cnn.config import load_recipe, override
from mnist_cnn.datasets import Dataset, ResolvedDataset
from mnist_cnn.errors import InputError
from mnist_cnn.tuning.search_folder import TuningFolder
from training.tiny import Recorder, digits, tiny_config
from tuning.small import add_trial, small_plan, small_search

predictions, terminal = Late("mnist_cnn.evaluation.predictions"), Late("cli.test_cli")
confirmation, report, results, retraining, studies = (
    Late(f"mnist_cnn.tuning.{name}") for name in ("confirmation", "search_report", "results", "retraining", "study")
)


class FewDigits:
    """A few of the bundled digits, and a note of the splits that were loaded."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load(self, split: str) -> Dataset:
        self.loaded.append(split)
        return digits() if split == "train" else dataclasses.replace(digits().subset(np.arange(100)), split="test")


class Interrupting(Recorder):
    """Presses Ctrl-C after the first epoch."""

    def on_epoch(self, row: object, is_best: bool) -> None:
        signal.raise_signal(signal.SIGINT)


def add_curve(folder: TuningFolder, accuracies: list[float]) -> None:
    best = max(accuracies)
    add_trial(folder, best, accuracies=accuracies, kept_epoch=accuracies.index(best) + 1)


def searched(root: Path) -> TuningFolder:
    """Return a search with one trial."""
    plan = small_plan({"training.epochs": 2, "training.early_stopping": 1}, data_checksum=digits().checksum())
    folder = small_search(root, plan)
    add_curve(folder, [0.6, 0.5])
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> TuningFolder:
    return searched(tmp_path)


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[TuningFolder, Any, FewDigits]:
    """A search confirmed with two seeds; tests that change it copy its folder."""
    folder, data = searched(tmp_path_factory.mktemp("confirmed")), FewDigits()
    begun: list[str] = []
    found = retraining.confirm(
        folder, results.read_results(folder), data, 2, on_begin=lambda run: begun.append(run.name)
    )
    assert begun == ["recipe-seed-1", "trial-0000-seed-1", "recipe-seed-2", "trial-0000-seed-2"]
    return folder, found, data


def copied(folder: TuningFolder, root: Path) -> TuningFolder:
    return TuningFolder(shutil.copytree(folder.root, root / "copy"))


@pytest.mark.slow
def test_best_and_recipe_are_compared_once_per_seed(two_seeds: tuple[TuningFolder, Any, FewDigits]) -> None:
    folder, confirmed, data = two_seeds
    assert [pair.seed for pair in confirmed.pairs] == [1, 2], "not 0, with which the settings were chosen"
    assert confirmed.epochs == (2, 1), "the recipe's, and those after which the trial was best"
    assert confirmed.images == 100
    for pair in confirmed.pairs:
        _, probabilities = predictions.read_predictions(folder.confirmation(f"trial-0000-seed-{pair.seed}").predictions)
        assert pair.found == float((probabilities.argmax(axis=1) == digits().labels[:100]).mean())
        assert pair.gain == pytest.approx(pair.test.difference.value)
    assert confirmed.difference.mean == pytest.approx(confirmed.found.mean - confirmed.recipe.mean)
    config = load_recipe(str(folder.confirmation("trial-0000-seed-1").config))
    assert (config.data.validation, config.training.early_stopping, config.training.keep) == (0, 0, "last")
    rows = folder.confirmation("recipe-seed-1").read_json(folder.confirmation("recipe-seed-1").history_json)
    assert "val_loss" not in rows[0]
    again = retraining.confirm(
        folder, results.read_results(folder), data, 2, on_begin=lambda run: pytest.fail(run.name)
    )
    assert again == confirmed, "nothing is repeated"
    assert data.loaded == ["train", "test"], "not even the data are read again"
    page = report.write_report(folder).read_text()
    assert 'id="confirmation"' in page
    assert "100 test images" in page


@pytest.mark.slow
def test_a_new_best_trial_is_confirmed_and_the_report_says_so(
    tmp_path: Path, two_seeds: tuple[TuningFolder, Any, FewDigits]
) -> None:
    folder = copied(two_seeds[0], tmp_path)
    add_curve(folder, [0.7, 0.9])
    found, begun = results.read_results(folder), []
    assert confirmation.read_confirmation(folder, studies.open_plan(folder), found) is None
    assert confirmation.confirmed_before(folder, found) == ["trial-0000"]
    assert "also used for trial-0000" in report.write_report(folder).read_text()
    retraining.confirm(folder, found, FewDigits(), 1, on_begin=lambda run: begun.append(run.name))
    assert begun == ["trial-0001-seed-1"], "the recipe's network is there"


@pytest.mark.slow
def test_runs_on_other_test_images_are_not_compared(
    tmp_path: Path, two_seeds: tuple[TuningFolder, Any, FewDigits]
) -> None:
    folder = copied(two_seeds[0], tmp_path)
    run = folder.confirmation("recipe-seed-1")
    run.metrics.write_text(run.metrics.read_text().replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(InputError, match=r"same images.*Remove"):
        confirmation.read_confirmation(folder, studies.open_plan(folder), results.read_results(folder))


@pytest.mark.slow
def test_an_interrupted_confirmation_resumes(folder: TuningFolder) -> None:
    found = results.read_results(folder)
    with pytest.raises(KeyboardInterrupt):
        retraining.confirm(folder, found, FewDigits(), 1, listener=Interrupting())
    run = folder.confirmation("recipe-seed-1")
    assert not run.metrics.exists(), "an unfinished network must not see the test set"
    assert confirmation.read_confirmation(folder, studies.open_plan(folder), found) is None
    recorder = Recorder()
    assert retraining.confirm(folder, found, FewDigits(), 1, listener=recorder) is not None
    assert recorder.starts[0][0] == 1
    assert "resumed" in run.log.read_text()


def test_other_training_data_are_refused(folder: TuningFolder) -> None:
    with pytest.raises(InputError, match="other training data"):
        retraining.confirm(folder, results.read_results(folder), ResolvedDataset("digits"), 1)
    assert not (folder.root / "confirmation").exists()


def test_nothing_is_confirmed_before_a_trial_has_ended(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    with pytest.raises(InputError, match="no trial"):
        retraining.confirm(folder, results.read_results(folder), FewDigits(), 1)
    assert confirmation.read_confirmation(folder, studies.open_plan(folder), results.read_results(folder)) is None


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({}, 2),
        ({"optimizer.schedule": "one-cycle", "training.keep": "last"}, 8),
    ],
)
def test_epochs_as_found(settings: dict[str, object], epochs: int, folder: TuningFolder) -> None:
    add_curve(folder, [0.7, 0.9, 0.8])  # ended early, of eight
    trial = results.read_results(folder).trials[-1]
    assert confirmation.found_epochs(tiny_config({"training.epochs": 8, **settings}), trial) == epochs


def test_a_trial_without_its_kept_epoch_is_not_confirmed(folder: TuningFolder) -> None:
    trial = dataclasses.replace(results.read_results(folder).trials[0], kept_epoch=None)
    with pytest.raises(InputError, match="Start a new search"):
        confirmation.found_epochs(tiny_config(), trial)


def test_a_rate_that_depends_on_held_out_images_is_not_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = small_plan({"training.reduce_on_plateau": 2}, data_checksum=digits().checksum())
    folder, data = small_search(tmp_path, plan), FewDigits()
    add_curve(folder, [0.6])
    with pytest.raises(InputError, match=r"--set training\.reduce_on_plateau=0"):
        retraining.confirm(folder, results.read_results(folder), data, 1)
    assert data.loaded == []
    confirmation.check_confirmable(override(plan.base, {"training.reduce_on_plateau": 0}))
    code, _, error = terminal.call(capsys, "tune", "--resume", str(folder.root), "--trials", "2", "--confirm", "1")
    assert (code, "reduce_on_plateau" in error) == (2, True)
    assert len(results.read_results(folder).trials) == 1, "refused before the search, not after it"


def test_expected_results_and_seeds_of_what_is_trained(folder: TuningFolder) -> None:
    plan = studies.open_plan(folder)
    plan = dataclasses.replace(plan, base=override(plan.base, {"expected_accuracy": "99 %", "training.seed": 5}))
    recipe, found = confirmation.retrainings(folder, plan, results.read_results(folder), 2)
    assert recipe.config.training.seed == found.config.training.seed == 7
    assert recipe.config.expected_accuracy == found.config.expected_accuracy == ""
    assert recipe.run.name == "recipe-seed-7"


@pytest.mark.slow
def test_a_finished_search_is_confirmed_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = small_plan({"training.epochs": 1})
    folder = small_search(tmp_path, plan)
    add_curve(folder, [0.6])
    words = ["tune", "--resume", str(folder.root), "--trials", "1", "--confirm", "1", "--json"]
    code, out, error = terminal.call(capsys, *words)
    assert code == 0, error
    record = json.loads(out)
    assert record["report"] == str(folder.report)
    assert record["confirmation"]["images"] == 359
    assert record["confirmation"]["difference"]["deviation"] is None
    assert "One seed cannot show" in error
    assert "On the test set" in folder.report.read_text()
