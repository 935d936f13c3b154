"""A run that starts from trained weights holds out only images that they have never seen, whatever its seed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from late import Late
from mnist_cnn.config import SHIPPED_ON, load_recipe, override
from mnist_cnn.datasets import divide
from mnist_cnn.errors import InputError
from mnist_cnn.runs import RunFolder
from training.tiny import digits, tiny_config, train_tiny

trainer, unseen = Late("mnist_cnn.training.trainer"), Late("mnist_cnn.training.unseen")


@pytest.mark.parametrize("seed", [0, 7])
def test_teaching_holds_out_what_the_shipped_weights_never_saw(seed: int) -> None:
    data = SHIPPED_ON
    expected = divide(digits(), per_class=data.per_class, validation=data.validation, seed=data.split_seed)[1]
    config = override(load_recipe("teach"), {"training.seed": seed})
    _, (images, _) = trainer.prepare_data(config, digits(), None)
    assert expected is not None
    np.testing.assert_array_equal(images[..., 0], expected.images)


def test_other_shares_of_the_shipped_weights_own_data_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    mnist = dataclasses.replace(digits(250), name="the same data under another name")
    monkeypatch.setattr("mnist_cnn.training.unseen.SHIPPED_CHECKSUM", mnist.checksum())
    teach = load_recipe("teach")
    unseen.check_held_out(teach, mnist)
    unseen.check_held_out(override(teach, {"data.validation": 0.0}), mnist)
    unseen.check_held_out(override(teach, {"data.validation": 0.2}), digits())  # other data
    changes = {"data.validation": (0.2, ""), "data.split_seed": (1, r" --set data\.split_seed=0"),
               "data.per_class": (20, r" --set data\.per_class=0")}  # fmt: skip
    for name, (value, option) in changes.items():
        with pytest.raises(InputError, match=rf"Use --validation 0\.1{option}, or --validation 0\."):
            unseen.check_held_out(override(teach, {name: value}), mnist)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train_tiny(tmp_path_factory.mktemp("runs"), {"training.epochs": 1, "data.split_seed": 3}).run


def test_the_weights_of_a_run_remember_what_it_held_out(source: RunFolder, tmp_path: Path) -> None:
    config = tiny_config({"model.init_from": str(source.root), "training.epochs": 1})
    with pytest.raises(InputError, match=r"Use --validation 0\.2 --set data\.split_seed=3, or --validation 0\."):
        train_tiny(tmp_path, {"model.init_from": str(source.root)})
    unseen.check_held_out(override(config, {"data.split_seed": 3, "training.seed": 9}), digits())
    unseen.check_held_out(config, digits(200))  # other data
    for file in (source.model, source.best_checkpoint):  # of the same run
        with pytest.raises(InputError, match="Use --validation"):
            unseen.check_held_out(override(config, {"model.init_from": str(file)}), digits())
    unseen.check_held_out(tiny_config({"model.init_from": str(tmp_path / "file.keras")}), digits())  # unknown


@pytest.mark.slow
def test_the_weights_that_a_start_was_trained_from_count_too(source: RunFolder, tmp_path: Path) -> None:
    between = train_tiny(tmp_path, {"training.epochs": 1, "model.init_from": str(source.root)}, digits(200)).run
    with pytest.raises(InputError, match=r"data\.split_seed=3"):
        unseen.check_held_out(tiny_config({"model.init_from": str(between.root)}), digits())


def test_weights_that_saw_everything_leave_nothing_to_hold_out(tmp_path: Path) -> None:
    whole = train_tiny(tmp_path, {"training.epochs": 1, "data.validation": 0.0}).run
    config = tiny_config({"model.init_from": str(whole.root)})
    with pytest.raises(InputError, match=r"trained on all training images of digits, .* Use --validation 0\."):
        unseen.check_held_out(config, digits())
