"""A run that starts from trained weights holds out only what they have never seen, whatever its seed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.config import SHIPPED_ON, load_recipe, override
from mnist_cnn.datasets import divide
from mnist_cnn.errors import InputError
from mnist_cnn.runs import create_run
from mnist_cnn.training import unseen
from mnist_cnn.training.trainer import prepare_data, train
from mnist_cnn.training.unseen import check_held_out
from training.tiny import digits, tiny_config

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_cnn.runs import RunFolder


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_teaching_holds_out_what_the_shipped_weights_never_saw(seed: int) -> None:
    data = SHIPPED_ON
    expected = divide(digits(), per_class=data.per_class, validation=data.validation, seed=data.split_seed)[1]
    config = override(load_recipe("teach"), {"training.seed": seed})
    _, (images, _) = prepare_data(config, digits(), None)
    assert expected is not None
    np.testing.assert_array_equal(images[..., 0], expected.images)


def test_other_shares_of_the_shipped_weights_own_data_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    mnist = dataclasses.replace(digits(250), name="the same data under another name")
    monkeypatch.setattr(unseen, "SHIPPED_CHECKSUM", mnist.checksum())
    teach = load_recipe("teach")
    check_held_out(teach, mnist)
    check_held_out(override(teach, {"data.validation": 0.0}), mnist)
    check_held_out(override(teach, {"data.validation": 0.2}), digits())  # other data
    for change in ({"data.validation": 0.2}, {"data.split_seed": 1}):
        with pytest.raises(InputError, match=r"Use --validation 0\.1, or --validation 0\."):
            check_held_out(override(teach, change), mnist)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = create_run(tmp_path_factory.mktemp("runs"), "source")
    train(tiny_config({"training.epochs": 1, "data.split_seed": 3}), digits(), run)
    return run


def test_the_weights_of_a_run_know_what_it_held_out(source: RunFolder, tmp_path: Path) -> None:
    config = tiny_config({"model.init_from": str(source.root), "training.epochs": 1})
    with pytest.raises(InputError, match=r"Use --validation 0\.2 --set data\.split_seed=3, or --validation 0\."):
        train(config, digits(), create_run(tmp_path, "refused"))
    check_held_out(override(config, {"data.split_seed": 3, "training.seed": 9}), digits())
    check_held_out(config, digits(200))  # other data
    for file in (source.model, source.best_checkpoint):  # of the same run
        with pytest.raises(InputError, match="Use --validation"):
            check_held_out(override(config, {"model.init_from": str(file)}), digits())
    check_held_out(tiny_config({"model.init_from": str(tmp_path / "file.keras")}), digits())  # nobody knows


def test_the_weights_that_a_start_began_with_count_too(source: RunFolder, tmp_path: Path) -> None:
    between = create_run(tmp_path, "between")
    settings = {"training.epochs": 1, "model.init_from": str(source.root)}
    train(tiny_config(settings), digits(200), between)
    with pytest.raises(InputError, match=r"data\.split_seed=3"):
        check_held_out(tiny_config({"model.init_from": str(between.root)}), digits())


def test_weights_that_saw_everything_leave_nothing_to_hold_out(tmp_path: Path) -> None:
    whole = create_run(tmp_path, "whole")
    train(tiny_config({"training.epochs": 1, "data.validation": 0.0}), digits(), whole)
    config = tiny_config({"model.init_from": str(whole.root)})
    with pytest.raises(InputError, match=r"trained on all training images of digits, .* Use --validation 0\."):
        check_held_out(config, digits())
