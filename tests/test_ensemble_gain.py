"""How `benchmarks/ensemble_gain.py` keeps members' answers, and averages them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from late import Late
from mnist_cnn.config import load_recipe, override, save_config
from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.evaluation.predictions import Predictions, write_predictions
from mnist_cnn.reading.scaling import bundled_digits
from mnist_cnn.runs import RunFolder
from records import write_records
from tables import ensembles as make_table

gain = Late("ensemble_gain")

LABELS = np.array([0, 1, 2, 1])


def answer(*, right: int, sure: float = 0.9) -> np.ndarray:
    """Give probabilities that are right for the first images only."""
    rows = np.full((4, 3), (1 - sure) / 2, np.float32)
    said = np.where(np.arange(4) < right, LABELS, (LABELS + 1) % 3)
    rows[np.arange(4), said] = sure
    return rows


def test_disjoint_ensembles_are_averaged_in_the_order_of_their_seeds() -> None:
    answers = {
        3: answer(right=0),
        0: answer(right=4),
        1: answer(right=1, sure=0.5),
        2: answer(right=2),
        4: answer(right=3),
    }
    first, second = gain.score_ensembles({"quick": answers}, LABELS, {"quick": 2})
    assert [each["seeds"] for each in (first, second)] == [{"quick": [0, 1]}, {"quick": [2, 3]}]  # 4 is left over
    assert first["accuracy"] == 100  # the sure member decides
    assert (first["only_best_member_right"], first["only_ensemble_right"]) == (0, 0)
    mean = (answer(right=2) + answer(right=0)) / 2
    assert second["log_loss"] == pytest.approx(-np.log(mean[np.arange(4), LABELS]).mean())


def test_an_incomplete_ensemble_is_left_out_and_the_next_one_stays_the_same() -> None:
    answers = {"quick": {seed: answer(right=3) for seed in (0, 2, 3)}}
    assert [each["seeds"] for each in gain.score_ensembles(answers, LABELS, {"quick": 2})] == [{"quick": [2, 3]}]


def test_an_ensemble_has_seeds_of_each_recipe() -> None:
    answers = {"quick": {seed: answer(right=3) for seed in range(5)}, "vgg": {0: answer(right=4), 1: answer(right=1)}}
    found = list(gain.score_ensembles(answers, LABELS, {"quick": 2, "vgg": 1}))
    assert [each["seeds"] for each in found] == [{"quick": [0, 1], "vgg": [0]}, {"quick": [2, 3], "vgg": [1]}]
    assert [each["accuracy"] for each in found] == [75, 75]  # two of three members say so
    assert found[0]["only_best_member_right"] == 1  # the seed of vgg


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["quick=6"], "--members gives 6 networks. Valid: 2 to 5 in total."),
        (["quick=1"], "--members gives 1 networks"),
        (["quick=2", "vgg=1", "quick=1"], "names a recipe twice"),
        (["none=5"], "'none=5' is not RECIPE=N"),
        (["quick=0", "vgg=2"], "'quick=0' is not RECIPE=N"),
        (["quick"], "'quick' is not RECIPE=N"),
    ],
)
def test_members_that_make_no_ensemble_are_refused(
    members: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["ensemble_gain.py", "--answers", "answers", "--members", *members])
    with pytest.raises(SystemExit):
        gain.parse_options()
    assert message in capsys.readouterr().err


def test_answers_are_kept_to_16_bits_and_only_for_the_same_settings(tmp_path: Path) -> None:
    path, answers = tmp_path / "answers.npz", {0: answer(right=1, sure=0.123), 12: answer(right=4)}
    gain.write_answers(path, "these", answers)
    kept = gain.read_answers(path, "these")
    assert list(kept) == [0, 12]
    for seed, probabilities in kept.items():
        np.testing.assert_allclose(probabilities, answers[seed], atol=0.5 / 65535 + 1e-7)
    with pytest.raises(SystemExit, match=r"answers of other settings. Choose another"):
        gain.read_answers(path, "others")
    assert gain.read_answers(tmp_path / "none.npz", "these") == {}


def test_only_complete_runs_with_the_recipes_settings_answer(tmp_path: Path) -> None:
    known = bundled_digits(1)
    digits = Dataset("known", "test", known.images, known.labels, DIGIT_NAMES, known.source)
    probabilities = np.full((len(digits), 10), 0.1, np.float32)
    recipe = override(load_recipe("quick"), {"data.dataset": "mnist"})
    for name, changes, is_complete in (
        ("quick-seed3-001", {"training.seed": 3}, True),
        ("quick-seed4-001", {"training.seed": 4}, False),
        ("quick-seed5-001", {"training.seed": 5, "training.epochs": 1}, True),
        ("vgg-seed6-001", {"training.seed": 6}, True),
    ):
        run = RunFolder(tmp_path / name)
        run.root.mkdir()
        save_config(run.config, override(recipe, changes))
        if is_complete:
            write_predictions(run.predictions, Predictions(digits, probabilities))
    found = dict(gain.find_answers(tmp_path, "quick", gain.digest_settings(recipe)))
    assert list(found) == [3]
    np.testing.assert_array_equal(found[3], probabilities)


def test_the_table_shows_members_averages_and_what_learned_from_them(tmp_path: Path) -> None:
    answers = {0: answer(right=4), 1: answer(right=1, sure=0.5), 2: answer(right=2), 3: answer(right=0)}
    members = [{"seed": seed, **gain.score(answers[seed], LABELS)} for seed in answers]
    found = list(gain.score_ensembles({"compact": answers}, LABELS, {"compact": 2}))
    result = {"members": {"compact": 2}, "networks": {"compact": members}, "ensembles": found}
    write_records(tmp_path / "ensemble_gain.json", [{"result": result}])
    runs = [{"seed": seed, "accuracy": 99.0 + seed, "log_loss": 0.02} for seed in (0, 1)]
    rows = [[{"recipe": "compact-distilled", "parameters": 1234, "runs": runs[:count]}] for count in (1, 2)]
    write_records(
        tmp_path / "distillation.json",
        [{"settings": settings, "result": row} for settings, row in zip(("old", "new"), rows, strict=True)],
    )
    table = make_table(tmp_path)
    assert "| one network of `compact` | 43.75 ± 42.70 |" in table
    assert "| average of `compact`, seeds 0 to 1 | 100.00 | 0.5042 | | 1 |" in table
    assert "| average of `compact`, seeds 2 to 3 | " in table
    assert "| mean of these averages | " in table
    assert "| `compact-distilled`, 1,234 parameters, learned from an average | 99.50 ± 0.71 | " in table


def test_the_newest_record_of_each_composition_counts(tmp_path: Path) -> None:
    def record(members: dict[str, int], accuracy: float) -> dict[str, Any]:
        networks = {recipe: [{"seed": 0, "accuracy": accuracy, "log_loss": 0.02}] for recipe in members}
        seeds = {recipe: list(range(count)) for recipe, count in members.items()}
        ensemble = {"seeds": seeds, "accuracy": accuracy + 0.1, "log_loss": 0.01, "p_value": 0.5}
        return {"result": {"members": members, "networks": networks, "ensembles": [ensemble]}}

    records = [
        record({"quick": 2}, 99.1),
        record({"quick": 2, "vgg": 1}, 99.2),
        record({"vgg": 1, "quick": 2}, 99.3),
        record({"quick": 2}, 99.4),
    ]
    write_records(tmp_path / "ensemble_gain.json", records)
    rows = make_table(tmp_path).splitlines()[2:]
    assert rows == [
        "| one network of `quick` | 99.40 | 0.0200 | 1 | |",
        "| one network of `vgg` | 99.30 | 0.0200 | 1 | |",
        "| average of `quick`, seeds 0 to 1 | 99.50 | 0.0100 | | 0.5 |",
        "| average of `vgg`, seed 0 and `quick`, seeds 0 to 1 | 99.40 | 0.0100 | | 0.5 |",
    ]
