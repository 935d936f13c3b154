"""The report of a search: whole, honest about what happened, and made of any state that a search can be in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluation.test_report import Page
from mnist_cnn.config import load_recipe
from mnist_cnn.evaluation.metrics import Interval, PairedTest
from mnist_cnn.tuning import conclusions, figures
from mnist_cnn.tuning.confirmation import Confirmation, Pair
from mnist_cnn.tuning.figures import name_setting, pareto_front
from mnist_cnn.tuning.importance import FEWEST, importances
from mnist_cnn.tuning.results import best_config, read_results
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.search_report import draw, write_report
from mnist_cnn.tuning.space import suggest_settings
from mnist_cnn.tuning.study import open_plan, open_study
from tuning.small import small_plan, small_search

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


def searched(root: Path, ends: str, **fields: Any) -> TuningFolder:
    """Give a search of made-up trials, one per letter: complete, pruned, failed, turned down, queued."""
    plan = small_plan(space=SPACE, **fields)
    folder = small_search(root, plan)
    study = open_study(folder)
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
    page = Page(write_report(folder).read_text())
    assert not page.open
    assert {address.split(",")[0] for address in page.fetched} <= {"data:image/png;base64", "data:"}
    assert page.tags.count("img") == len(list(folder.figures.iterdir())) == 6
    assert "script" not in page.tags
    best = read_results(folder).best
    assert best is not None
    assert f"It is trial {best.number}" in page.text
    assert f"learning_rate = {best.settings['optimizer.learning_rate']}" in page.text
    for words in ("14 trials", "1 pruned", "2 failed", "too large", "12 min 34 s", REASON, "21,000 parameters are over",
                  "Two kinds of rates", "20,000 parameters", "optimizer.warmup (cosine)", "optuna-dashboard",
                  "others did better", "chosen because it came out first", "add --confirm 3"):  # fmt: skip
        assert words in page.text, words
    assert not list(tmp_path.rglob(".partial*"))


@pytest.mark.parametrize("ends", ["", "r", "f", "t", "p", "c", "cc", "cfr"])
def test_any_state_of_a_search_has_a_page(ends: str, tmp_path: Path) -> None:
    page = Page(write_report(searched(tmp_path, ends)).read_text())
    assert not page.open
    assert ("none has come to its end" in page.text) == ("c" not in ends)
    assert ("img" in page.tags) == ("c" in ends)


def test_pictures_of_an_earlier_state_are_gone(tmp_path: Path) -> None:
    folder = searched(tmp_path, "c")
    write_report(folder)
    (folder.figures / "importance.png").write_bytes(b"of another state")
    write_report(folder)
    assert not (folder.figures / "importance.png").exists()


def test_several_objectives_have_their_front_in_the_page(tmp_path: Path) -> None:
    folder = searched(tmp_path, "cccc", objectives=("accuracy", "latency"))
    page = Page(write_report(folder).read_text())
    assert "latency (ms an image)" in page.text
    for trial in read_results(folder).front:
        assert f"front/{trial.number:04d}.toml" in page.text
        assert load_recipe(str(folder.front(trial.number))) == best_config(
            read_results(folder), open_plan(folder), trial
        )
    assert "Latencies of different machines do not compare" in page.text


def test_recipes_that_are_no_more_on_the_front_are_gone(tmp_path: Path) -> None:
    folder = searched(tmp_path, "cc", objectives=("accuracy", "parameters"))
    write_report(folder)
    first = {path.name for path in folder.front(0).parent.iterdir()}
    assert first == {f"{trial.number:04d}.toml" for trial in read_results(folder).front}
    study = open_study(folder)
    trial = study.ask()
    trial.set_user_attr("settings", suggest_settings(open_plan(folder).space, trial))
    trial.set_user_attr("kept_epoch", 1)
    study.tell(trial, [0.99, 1.0])
    write_report(folder)
    assert [path.name for path in folder.front(0).parent.iterdir()] == ["0002.toml"], "better and smaller than all"


def test_importance_finds_the_setting_that_decides(tmp_path: Path) -> None:
    folder = searched(tmp_path, "c" * 24)
    found = importances(open_study(folder))
    rate, *others = found.values()
    assert next(iter(found)) == "optimizer.learning_rate"
    assert rate.share > rate.chance
    assert [each.share for each in others] == sorted((each.share for each in others), reverse=True)
    everywhere = [each.share for name, each in found.items() if name != "optimizer.warmup"]
    assert 0.5 < sum(everywhere) <= 1, "what settings do together is not in it"
    warm = [trial for trial in read_results(folder).complete if "optimizer.warmup" in trial.choices]
    assert ("optimizer.warmup" in found) == (FEWEST <= len(warm) < 24), "judged among the trials that have it"


def test_of_accuracies_by_chance_hardly_a_setting_stands_out(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan(space=SPACE))
    study, plan = open_study(folder), open_plan(folder)
    random = np.random.default_rng(1)
    for _ in range(12):
        trial = study.ask()
        suggest_settings(plan.space, trial)
        study.tell(trial, float(random.uniform(0.9, 0.99)))
    found = importances(study)
    assert len(found) >= 3
    assert sum(each.share > each.chance for each in found.values()) <= 1


def test_importance_is_not_made_up(tmp_path: Path) -> None:
    assert importances(open_study(searched(tmp_path / "few", "ccccccc"))) == {}
    folder = small_search(tmp_path / "equal")
    study, plan = open_study(folder), open_plan(folder)
    for _ in range(9):
        trial = study.ask()
        suggest_settings(plan.space, trial)
        study.tell(trial, 0.5)
    assert importances(study) == {}


def test_pictures_show_pruned_failed_and_best(tmp_path: Path) -> None:
    folder = searched(tmp_path, "cccpf")
    results = read_results(folder)
    drawn = dict(draw(open_plan(folder), results, {}))
    assert set(drawn) == {"history", "curves", "slices", "coordinates", "front"}
    labels = [text.get_text() for text in drawn["history"].axes[0].get_legend().get_texts()]  # type: ignore[union-attr]
    assert results.best is not None
    assert f"best, trial {results.best.number}: {results.best.values[0]:.2%}".replace("%", " %") in labels
    assert {"complete", "failed", "best so far"} <= set(labels)
    assert len(drawn["curves"].axes[0].lines) == 4, "a failed trial has no curve"


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 99)), min_size=1, max_size=12))
def test_a_front_is_what_nobody_beats(points: list[tuple[float, float, int]]) -> None:
    front = pareto_front(points)
    for cost, accuracy, _ in points:
        assert any(each[0] <= cost and each[1] >= accuracy for each in front), "somebody of the front is no worse"
    assert front == sorted(front)
    assert [point[1] for point in front] == sorted({point[1] for point in front})


def test_names_of_settings() -> None:
    assert name_setting("optimizer.learning_rate") == "learning rate"
    assert name_setting("model.arguments.filters (vgg)[0]") == "filters[0] (vgg)"
    assert name_setting("model.arguments.stem") == "stem"
    assert name_setting("training.label_smoothing", 8) == "label s…"


def test_importance_picture_holds_the_largest_shares() -> None:
    shares = {f"a.s{index}": index / 100 for index in range(20)}
    axes = figures.setting_importance(shares, dict.fromkeys(shares, 0.185)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["s19", "s18"]
    assert [text.get_text() for text in axes.texts][:2] == ["19 %", "18 %"]
    bars: Any = axes.containers[1]
    colours = [bar.get_facecolor() for bar in bars]
    assert colours[0] != colours[1] == colours[2], "only the first is more than chance"


@dataclasses.dataclass
class Drawn:
    """A trial for pictures."""

    number: int
    accuracy: float
    accuracies: tuple[float, ...] = ()
    state: str = "complete"
    choices: dict[str, Any] = dataclasses.field(default_factory=dict)


def test_the_front_is_found_before_it_is_cut_off_at_the_edge_of_the_picture() -> None:
    trials = [Drawn(0, 0.3), Drawn(1, 0.5), Drawn(2, 0.4), Drawn(3, 0.995)]  # the first three are far below the edge
    axes = figures.accuracy_against_cost(trials, {"ms": {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}}, best=3).axes[0]
    lines: Any = axes.lines
    marked = {line.get_label(): list(line.get_xdata()) for line in lines}
    assert marked["Pareto front"] == [1, 2, 4]
    assert marked["worse than shown"] == [3]
    assert min(min(line.get_ydata(), default=100) for line in lines) >= axes.get_ylim()[0]


def test_curves_that_were_higher_than_they_ended_are_shown_whole() -> None:
    trials = [Drawn(0, 0.98, (0.9, 0.995, 0.98)), Drawn(1, 0.99, (0.8, 0.99))]
    assert figures.trial_curves(trials, best=1).axes[0].get_ylim()[1] > 99.5


def confirmed(*gains: float) -> Confirmation:
    pairs = [
        Pair(seed, 0.98, 0.98 + gain, PairedTest(1000, 1, 2, 0.01, Interval(gain, 0, 0)))
        for seed, gain in enumerate(gains, 1)
    ]
    return Confirmation(7, 1000, (3, 4), tuple(pairs))


def test_one_seed_tells_nothing_of_training() -> None:
    words = conclusions.confirmation_verdict(confirmed(0.01))
    assert "with 1 seed, the settings of trial 7 read 99.00\u202f% of the 1,000 test images right" in words
    assert "One seed cannot tell" in words, "however small the p-value of its pair of networks is"
    assert confirmed(0.01).as_dict()["interval"] is None


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ((0.010, 0.011, 0.012), "are better than the recipe's"),
        ((-0.010, -0.011, -0.012), "are worse than the recipe's"),
        ((0.01, 0.01, -0.02), "not more than the luck of training explains"),
        ((0.001, 0.020), "not more than the luck of training explains"),
    ],
)
def test_several_seeds_are_judged_by_their_mean(gains: tuple[float, ...], words: str) -> None:
    assert words in conclusions.confirmation_verdict(confirmed(*gains))
    interval = confirmed(*gains).interval
    known = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert interval == pytest.approx((known.low, known.high))
