from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.config import (
    DEFAULT_RECIPE,
    DEFAULT_SMALL_RECIPE,
    AugmentationConfig,
    Config,
    load_recipe,
    override,
    parse_config,
    parse_setting,
    recipe_names,
    save_config,
    setting_names,
)
from mnist_cnn.errors import InputError, MnistCnnError


def test_runs_of_earlier_versions_load() -> None:
    recipe = override(load_recipe("light"), {"training.seed": 5, "data.split_seed": 5})
    saved = recipe.to_dict()
    saved["training"]["strangers"] = saved["training"].pop("outliers")
    del saved["data"]["split_seed"]  # the seed of training chose the held-out images
    assert parse_config(saved, "an earlier run") == recipe
    assert parse_config({"training": {"seed": 5}}, "a recipe").data.split_seed == 0
    with pytest.raises(InputError, match=r"no setting 'training.strangers'. Did you mean 'training.outliers'\?"):
        override(Config(), {"training.strangers": 0.1})


def test_the_promised_recipes_ship_and_the_default_comes_first() -> None:
    names = recipe_names()
    assert {"conv3", "batchnorm", "augmented", "vgg", "resnet", DEFAULT_RECIPE, DEFAULT_SMALL_RECIPE} <= set(names)
    assert names[0] == DEFAULT_RECIPE
    assert names[1:] == sorted(names[1:])


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_comes_back_equal_from_the_file_of_a_run(tmp_path: Path, name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.title
    save_config(tmp_path / "config.toml", recipe)
    assert load_recipe(str(tmp_path / "config.toml")) == load_recipe(tmp_path / "config.toml") == recipe


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainig": {}}, r"my\.toml: there is no setting 'trainig'\. Did you mean 'training'\?"),
        ({"training": {"epoch": 1}}, r"'training\.epoch'\. Did you mean 'training\.epochs'\?"),
        ({"epochs": 3}, r"there is no setting 'epochs'\. Did you mean"),
        ({"training": {"epochs": 3.5}}, r"training\.epochs = 3\.5 is not valid"),
        ({"training": {"epochs": 0}}, r"training\.epochs = 0 .*greater than or equal to 1"),
        ({"training": {"precision": "float16"}}, r"'float16' .*'float32', 'mixed_bfloat16' or 'auto'"),
        ({"training": 3}, r"training = 3 is not valid"),
        ({"model": {"arguments": [1]}}, r"model\.arguments = \[1\]"),
        ({"optimizer": {"learning_rate": math.inf}}, r"optimizer\.learning_rate = inf .*finite"),
        ({"optimizer": {"schedule": "cosine"}, "training": {"reduce_on_plateau": 2}}, "reduce_on_plateau"),
        ({"training": {"label_smoothing": 0.1}}, "needs one-hot labels"),
        ({"model": {"freeze": "features"}}, "^freeze needs a trained model. Name one with init_from"),
        ({"model": {"fold": True, "init_from": "digits"}}, "fold = true works with an architecture, not with"),
        ({"optimizer": {"weight_decay": 0.1}}, "weight_decay works with adamw and sgd, not with 'adam'"),
    ],
)
def test_invalid_and_contradictory_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_config(values, "my.toml")
    assert "\n" not in str(caught.value)


def test_settings_are_replaced_one_by_one() -> None:
    before = load_recipe("vgg")
    after = override(before, {"training.epochs": 3, "model.arguments.filters": [4], "model.arguments.dense": 8})
    assert after.training == dataclasses.replace(before.training, epochs=3)
    assert after.model.arguments == {**before.model.arguments, "filters": [4], "dense": 8}
    assert (after.data, after.augmentation, after.optimizer) == (before.data, before.augmentation, before.optimizer)
    assert override(before, {}) == before
    with pytest.raises(InputError, match=r"^training\.epochs = -3 is not valid: it must be greater"):
        override(before, {"training.epochs": -3})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epoch", r"there is no setting 'training\.epoch'\. Did you mean 'training\.epochs'\?"),
        ("epochs", r"there is no setting 'epochs'\. Did you mean 'training\.epochs'\?"),
        ("foo", r"Valid: augmentation\.\*, data\.\*, .*training\.\*, .* config\.toml"),
        ("training.epochs.x", "there is no setting"),
        ("model.arguments.filters.x", "there is no setting"),
        ("augmentation.flip", r"Did you mean 'augmentation\.flip_(vertical|horizontal)'\?"),
    ],
)
def test_an_unknown_setting_is_never_dropped_silently(setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        override(Config(), {setting: 1})


def test_neither_overriding_nor_editing_a_copy_changes_the_defaults() -> None:
    pristine = Config().to_dict()
    override(Config(), {"model.arguments.filters": [4], "training.epochs": 3})
    Config().model.arguments["filters"] = [1]
    Config().to_dict()["model"]["arguments"]["dense"] = 1
    assert Config().to_dict() == pristine
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().training.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.ema = 0.5", ("optimizer.ema", 0.5)),
        ("training.deterministic=true", ("training.deterministic", True)),
        ("model.arguments.filters=[4, 8]", ("model.arguments.filters", [4, 8])),
        ("data.dataset='a=b'", ("data.dataset", "a=b")),
        ("data.dataset=my folder/x=1", ("data.dataset", "my folder/x=1")),
        ("title=", ("title", "")),
    ],
)
def test_a_setting_is_read_as_on_the_command_line(text: str, expected: tuple[str, Any]) -> None:
    name, value = parse_setting(text)
    assert (name, value) == expected
    assert type(value) is type(expected[1])


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(InputError, match=r"'training\.epochs' has no '='.*KEY=VALUE"):
        parse_setting("training.epochs")


def test_every_listed_setting_can_be_set() -> None:
    config = load_recipe("vgg")
    for name in setting_names():
        section, _, key = name.rpartition(".")
        value = getattr(getattr(config, section) if section else config, key)
        assert override(config, {name: value}) == config


@pytest.mark.parametrize("name", ["vg", "no-such"])
def test_an_unknown_recipe_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=rf"there is no recipe '{name}'\. .*batchnorm"):
        load_recipe(name)


@pytest.mark.parametrize(("content", "message"), [(b"[training", "not valid TOML"), (b"\xff\xfe", "cannot be read")])
def test_a_broken_recipe_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    for name in (str(path), str(tmp_path / "absent.toml"), str(tmp_path)):
        with pytest.raises(InputError) as caught:
            load_recipe(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=message):
        load_recipe(str(path))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(AugmentationConfig)])
def test_augmentation_is_active_if_anything_distorts(field: str) -> None:
    settings: dict[str, Any] = {field: True if field.startswith("flip") else 0.5}
    assert AugmentationConfig(**settings).is_active == (field != "elastic_smoothness")


TOML = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 9), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=4,
)
SECTIONS = st.dictionaries(st.sampled_from([name.rpartition(".")[2] for name in setting_names()]), TOML, max_size=3)


@given(st.dictionaries(st.sampled_from(["data", "model", "augmentation", "optimizer", "training", "title"]), SECTIONS))
def test_any_table_is_a_configuration_or_refused_in_one_line(values: dict[str, Any]) -> None:
    try:
        config = parse_config(values, "here")
    except MnistCnnError as error:
        message = str(error)
        assert "\n" not in message
    else:
        assert parse_config(config.to_dict(), "again") == config
