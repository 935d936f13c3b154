"""The report of a search: complete, honest, and possible in any state of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from late import Late
from mnist_cnn.config import load_recipe
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.space import suggest_settings
from tuning.small import add_trial, small_plan, small_search

optuna, confirmation, report = (
    Late("optuna"),
    Late("mnist_cnn.tuning.confirmation"),
    Late("mnist_cnn.tuning.search_report"),
)
conclusions, figures, importance, results, studies = (
    Late(f"mnist_cnn.tuning.{name}") for name in ("conclusions", "figures", "importance", "results", "study")
)

SPACE = {
    "title": "Two kinds of rates",
    "limits": {"parameters": 20_000},
    "settings": {
        "optimizer.learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
        "optimizer.schedule": {"choices": ["constant", "cosine"]},
        "training.reduce_on_plateau": 0,
        "model.arguments.filters": [{"low": 2, "high": 6, "step": 2}, 4],
    },
    "conditional": [{"when": {"optimizer.schedule": "cosine"}, "optimizer.warmup": {"low": 0.0, "high": 0.4}}],
}
REASON = "the loss became <nan> in epoch 1"


def read_page(folder: TuningFolder) -> Any:
    return Late("evaluation.test_report").Page(report.write_report(folder).read_text())


def searched(root: Path, ends: str, **fields: Any) -> TuningFolder:
    """Return a search of made-up trials, one per letter: complete, pruned, failed, too large, running."""
    plan = small_plan(space=SPACE, **fields)
    folder = small_search(root, plan)
    study = studies.open_study(folder)
    for letter in ends:
        trial = study.ask()
        settings = suggest_settings(plan.space, trial)
        accuracy = 0.95 - 2 * abs(settings["optimizer.learning_rate"] - 0.004)
        trial.set_user_attr("settings", settings)
        trial.set_user_attr("parameters", 1000 + 10 * trial.number)
        if letter in "cp":
            trial.set_user_attr("accuracies", [accuracy - 0.1, accuracy] if letter == "c" else [accuracy - 0.1])
        if letter == "c":
            trial.set_user_attr("kept_epoch", 2)
            study.tell(trial, [accuracy, 1000.0 + trial.number][: len(plan.objectives)])
        elif letter in "pt":
            trial.set_user_attr("reason", "others did better" if letter == "p" else "21,000 parameters are over")
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif letter == "f":
            trial.set_user_attr("reason", REASON)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    folder.save_seconds(754)
    return folder


def test_the_page_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    folder = searched(tmp_path, "cccccpcccfccctf")
    matplotlib = Late("matplotlib")
    before = dict(matplotlib.rcParams), dict(matplotlib.style.library["ggplot"])
    page = read_page(folder)
    after = dict(matplotlib.rcParams), dict(matplotlib.style.library["ggplot"])
    assert after == before, "drawing changes no defaults"
    assert not Late("matplotlib.pyplot").get_fignums()
    assert not page.open
    assert {address.split(",")[0] for address in page.fetched} <= {"data:image/png;base64", "data:"}
    assert page.tags.count("img") == len(list(folder.figures.iterdir())) == 6
    assert "script" not in page.tags
    best = results.read_results(folder).best
    assert best is not None
    assert f"Trial {best.number} is the best of 14 trials" in page.text
    assert f"learning_rate = {best.settings['optimizer.learning_rate']}" in page.text
    for words in ("1 pruned", "2 failed", "12 min 34 s", REASON, "21,000 parameters are over", "Two kinds of rates",
                  "20,000 parameters", "optimizer.warmup (cosine)", "optuna-dashboard", "--confirm 3"):  # fmt: skip
        assert words in page.text, words
    assert not list(tmp_path.rglob(".partial*"))


@pytest.mark.parametrize("ends", ["", "r", "ftp", "cfr"])
def test_any_state_of_a_search_has_a_page(ends: str, tmp_path: Path) -> None:
    page = read_page(searched(tmp_path, ends))
    assert not page.open
    assert ("is complete yet" in page.text) == ("c" not in ends)
    assert ("img" in page.tags) == ("c" in ends)


def test_several_objectives_have_their_front_in_the_page(tmp_path: Path) -> None:
    folder = searched(tmp_path, "cccc", objectives=("accuracy", "latency"))
    page = read_page(folder)
    assert "latency (ms per image)" in page.text
    for trial in results.read_results(folder).front:
        assert f"front/{trial.number:04d}.toml" in page.text
        assert load_recipe(str(folder.front(trial.number))) == results.best_config(
            results.read_results(folder), studies.open_plan(folder), trial
        )
    assert "Latencies from different machines are not comparable" in page.text


def test_outdated_pictures_and_recipes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cnn.tuning.search_report.draw", lambda *_: iter(()))
    folder = searched(tmp_path, "cc", objectives=("accuracy", "parameters"))
    report.write_report(folder)
    first = {path.name for path in folder.front(0).parent.iterdir()}
    assert first == {f"{trial.number:04d}.toml" for trial in results.read_results(folder).front}
    folder.figures.mkdir()
    (folder.figures / "importance.png").write_bytes(b"outdated")
    add_trial(folder, 0.99, 1.0)
    report.write_report(folder)
    assert [path.name for path in folder.front(0).parent.iterdir()] == ["0002.toml"], "better and smaller than all"
    assert not (folder.figures / "importance.png").exists()


def test_importance_finds_the_setting_that_decides(tmp_path: Path) -> None:
    folder = searched(tmp_path, "c" * 24)
    found = importance.importances(studies.open_study(folder))
    rate, *others = found.values()
    assert next(iter(found)) == "optimizer.learning_rate"
    assert rate.share > rate.chance
    assert [each.share for each in others] == sorted((each.share for each in others), reverse=True)
    everywhere = [each.share for name, each in found.items() if name != "optimizer.warmup"]
    assert 0.5 < sum(everywhere) <= 1, "what settings do together is not in it"
    warm = [trial for trial in results.read_results(folder).complete if "optimizer.warmup" in trial.choices]
    assert ("optimizer.warmup" in found) == (importance.FEWEST <= len(warm) < 24), (
        "judged among the trials that have it"
    )


@pytest.mark.slow
def test_random_accuracies_make_hardly_any_setting_important(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan(space=SPACE))
    for accuracy in np.random.default_rng(1).uniform(0.9, 0.99, 12):
        add_trial(folder, float(accuracy))
    found = importance.importances(studies.open_study(folder))
    assert len(found) >= 3
    assert sum(each.share > each.chance for each in found.values()) <= 1


def test_importance_is_not_made_up(tmp_path: Path) -> None:
    assert importance.importances(studies.open_study(searched(tmp_path / "few", "ccccccc"))) == {}
    folder = small_search(tmp_path / "equal")
    for _ in range(9):
        add_trial(folder, 0.5)
    assert importance.importances(studies.open_study(folder)) == {}


def test_pictures_show_pruned_trials_and_the_best(tmp_path: Path) -> None:
    folder = searched(tmp_path, "cccpf")
    found = results.read_results(folder)
    drawn = dict(report.draw(studies.open_study(folder), found))
    assert set(drawn) == {"history", "curves", "slices", "coordinates", "front_parameters"}
    labels = [text.get_text() for text in drawn["history"].legends[0].get_texts()]
    best = f"best, trial {found.best.number}: {100 * found.best.values[0]:.2f} %"
    assert labels == ["complete", "best so far", "pruned", best]
    assert len(drawn["curves"].axes[0].lines) == 4, "a failed trial has no curve"
    assert "learning rate" in [axes.get_title(loc="left") for axes in drawn["slices"].axes]


def test_names_of_settings() -> None:
    assert figures.name_setting("optimizer.learning_rate") == "learning rate"
    assert figures.name_setting("model.arguments.filters (vgg)[0]") == "filters[0] (vgg)"
    assert figures.name_setting("training.label_smoothing", 8) == "label s…"


def test_importance_picture_holds_the_largest_shares() -> None:
    shares = {f"a.s{index}": index / 100 for index in range(20)}
    axes = figures.setting_importance(shares, dict.fromkeys(shares, 0.185)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["s19", "s18"]
    assert [text.get_text() for text in axes.texts][:2] == ["19 %", "18 %"]
    bars: Any = axes.containers[1]
    colours = [bar.get_facecolor() for bar in bars]
    assert colours[0] != colours[1] == colours[2], "only the first is more than chance"


def test_a_trial_that_learnt_nothing_does_not_squeeze_the_others(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan(space=SPACE))
    for accuracy, parameters in [(0.99, 1000), (0.1, 10), (0.98, 100)]:
        add_trial(folder, accuracy, accuracies=[accuracy], parameters=parameters)
    drawn = dict(report.draw(studies.open_study(folder), results.read_results(folder)))
    for name in ("history", "curves", "front_parameters"):
        low, high = drawn[name].axes[0].get_ylim()
        assert 90 < low < 98, name
        assert 99 < high < 100, name
    assert [text.get_text() for text in drawn["front_parameters"].axes[0].texts] == ["0", "1", "2"], "all on the front"


def confirmed(*gains: float) -> Any:
    metrics = Late("mnist_cnn.evaluation.metrics")
    pairs = [
        confirmation.Pair(seed, 0.98, 0.98 + gain, metrics.PairedTest(1000, 1, 2, 0.01, metrics.Interval(gain, 0, 0)))
        for seed, gain in enumerate(gains, 1)
    ]
    return confirmation.Confirmation(7, 1000, (3, 4), tuple(pairs))


def test_one_seed_shows_nothing_about_training() -> None:
    assert "One seed cannot show" in conclusions.confirmation_verdict(confirmed(0.01)), "however small its p-value is"
    assert confirmed(0.01).as_dict()["interval"] is None


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ((0.010, 0.011, 0.012), "are better than those of the recipe"),
        ((-0.010, -0.011, -0.012), "are worse than those of the recipe"),
        ((0.001, 0.020), "Random variation in training explains that"),
    ],
)
def test_several_seeds_are_judged_by_their_mean(gains: tuple[float, ...], words: str) -> None:
    assert words in conclusions.confirmation_verdict(confirmed(*gains))
    interval = confirmed(*gains).interval
    known = Late("scipy.stats").ttest_1samp(gains, 0).confidence_interval(0.95)
    assert interval == pytest.approx((known.low, known.high))
