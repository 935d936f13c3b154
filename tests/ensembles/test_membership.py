"""Which runs may be averaged; the runs here are only what a check reads of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_cnn.config import Config, load_recipe, override, save_config
from mnist_cnn.ensembles.membership import check_members, ensemble_config
from mnist_cnn.ensembles.planned import find_unfinished, member_configs, members_of, open_planned, plan_members
from mnist_cnn.errors import InputError
from mnist_cnn.runs import RunFolder, create_run

Make = Callable[..., RunFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a finished run with some settings and facts about its data."""

    def make(seed: int = 0, settings: dict[str, Any] | None = None, **data: Any) -> RunFolder:
        run = create_run(tmp_path / "runs", "tiny")
        save_config(run.config, override(Config(), {"training.seed": seed, **(settings or {})}))
        known = {"sha256": "abc", "classes": ["0", "1"], "source": "", "notice": "", **data}
        run.environment.write_text(json.dumps({"data": known}))
        run.model.write_text(f"network {seed}")
        return run

    return make


def test_runs_that_differ_in_their_seed_can_be_averaged(make: Make) -> None:
    check_members([make(seed) for seed in range(5)])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"settings": {"data.split_seed": 3}}, "differ in their held-out images .*split_seed 0.*split_seed 3"),
        ({"settings": {"data.validation": 0.0}}, "validation 0.2.*validation 0,"),
        ({"sha256": "def"}, r"differ in their training data \(abc; def\)"),
        ({"classes": ["cat", "dog"]}, "differ in their classes"),
        ({"settings": {"model.average": ["a", "b"]}}, "is an ensemble itself"),
    ],
)
def test_what_does_not_fit_is_named(make: Make, second: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_members([make(), make(1, **second)])


def test_members_are_finished_distinct_and_few(make: Make) -> None:
    run, same, unfinished = make(), make(), make(1)
    unfinished.state.write_text("")
    with pytest.raises(InputError, match=r"tiny-003 is not finished. Continue it with: mnist-cnn train --resume"):
        check_members([run, unfinished])
    with pytest.raises(InputError, match="tiny-001 is given twice"):
        check_members([run, RunFolder(run.root / ".." / run.name)])
    with pytest.raises(InputError, match="contain the same network"):
        check_members([run, same])
    for runs in ([run], [make(seed) for seed in range(6)]):
        with pytest.raises(InputError, match=f"2 to 5 members, not {len(runs)}"):
            check_members(runs)


def test_the_settings_of_an_ensemble_are_its_data_and_its_members(tmp_path: Path) -> None:
    member = override(load_recipe("quick"), {"data.validation": 0.1, "data.add": "/mine", "training.seed": 3})
    config = ensemble_config(["/runs/a", "/runs/b"], member)
    assert (config.data.validation, config.data.add) == (0.1, "")
    save_config(tmp_path / "config.toml", config)
    assert "epochs" not in (tmp_path / "config.toml").read_text()
    assert load_recipe(tmp_path / "config.toml") == config


def test_an_interrupted_ensemble_is_found_again(tmp_path: Path) -> None:
    configs = member_configs(override(load_recipe("quick"), {"training.seed": 7}), 3)
    assert [config.training.seed for config in configs] == [7, 8, 9]
    first, second = create_run(tmp_path, "quick-ensemble"), create_run(tmp_path, "quick-ensemble")
    for folder in (first, second):
        plan_members(folder, configs)
    assert [member.name for member in members_of(first)] == ["seed-7", "seed-8", "seed-9"]
    assert find_unfinished(tmp_path, "quick-ensemble", configs) == second
    assert find_unfinished(tmp_path, "quick-ensemble", configs[:2]) is None, "these are other members"
    second.report.write_text("finished")
    assert find_unfinished(tmp_path, "quick-ensemble", configs) == first
    third = create_run(tmp_path, "quick-ensemble")
    plan_members(third, configs)
    members_of(third)[1].config.unlink()
    assert find_unfinished(tmp_path, "quick-ensemble", configs) == first, "a damaged one is not continued"
    assert first.resume_command.startswith("mnist-cnn ensemble --resume")
    assert open_planned(first.root) == first


def test_a_run_is_not_continued_as_an_ensemble(make: Make) -> None:
    with pytest.raises(InputError, match="mnist-cnn train --resume"):
        open_planned(make().root)
