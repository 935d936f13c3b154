"""Spaces: what a file may declare, that all its values are valid, and how errors are explained."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from late import Late
from mnist_cnn.config import load_recipe, override, recipe_names
from mnist_cnn.errors import InputError
from mnist_cnn.tuning.declaration import check_space, corner_configs, load_space, parse_space, space_names
from mnist_cnn.tuning.space import Choice, Range, configure, starting_point, suggest_settings

BASE = load_recipe("quick")
KEEP = {"training.keep": {"choices": ["best", "last"]}}


class Drawing:
    """Chooses what hypothesis draws, and records its choices."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self.choices: dict[str, Any] = {}

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        del log
        value = self._data.draw(st.floats(low, high)) if step is None else low + step * self._steps(low, high, step)
        return self._note(name, value)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        del log
        return self._note(name, low + step * self._steps(low, high, step))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._note(name, self._data.draw(st.sampled_from(choices)))

    def _steps(self, low: float, high: float, step: float) -> int:
        return self._data.draw(st.integers(0, int((high - low) / step + 1e-9)))

    def _note(self, name: str, value: Any) -> Any:
        assert name not in self.choices, "no two parameters may share a name"
        self.choices[name] = value
        return value


class Repeating:
    """Repeats given choices."""

    def __init__(self, choices: dict[str, Any]) -> None:
        self._choices = choices

    def suggest_float(self, name: str, *_: Any, **__: Any) -> Any:
        return self._choices[name]

    suggest_int = suggest_categorical = suggest_float


@pytest.mark.parametrize("name", space_names())
@given(data=st.data())
def test_every_value_of_a_shipped_space_is_valid_and_can_be_chosen_again(name: str, data: st.DataObject) -> None:
    space, chooser = load_space(name), Drawing(data)
    settings = suggest_settings(space, chooser)
    config = configure(BASE, settings)
    assert suggest_settings(space, Repeating(chooser.choices)) == settings
    assert starting_point(space, config) == chooser.choices


def test_a_space_of_an_earlier_version_is_read() -> None:
    earlier = {
        "settings": {"training.loss": "one-hot", "training.strangers": {"choices": [0.1, 0.2]}},
        "conditional": [{"when": {"training.strangers": 0.2}, **KEEP}],
    }
    space = parse_space(earlier, "study.json")
    chooser = Repeating({"training.strangers": 0.2, "training.keep": "last"})  # labels of earlier trials
    config = configure(BASE, suggest_settings(space, chooser))
    assert (config.training.outliers, config.training.keep) == (0.2, "last")


def test_the_default_space_fits_every_recipe() -> None:
    for recipe in recipe_names():
        check_space(load_space("default"), load_recipe(recipe))


def test_the_default_space_builds_networks_and_begins_with_the_default_recipe() -> None:
    space = load_space("default")
    known = starting_point(space, BASE)
    assert known["model.architecture"] == BASE.model.architecture
    assert known["optimizer.learning_rate"] == BASE.optimizer.learning_rate
    optuna = Late("optuna")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(4):
        config = configure(BASE, suggest_settings(space, study.ask()))
        Late("mnist_cnn.models.architectures").build_model(config.model.architecture, config.model.arguments, 10)
        seen.add(config.model.architecture)
    assert len(seen) > 1


def test_another_architecture_does_not_inherit_arguments() -> None:
    config = configure(BASE, {"model.architecture": "batchnorm", "model.arguments.kernel": 5})
    assert config.model.arguments == {"kernel": 5}
    assert configure(BASE, {"model.arguments.depth": 1}).model.arguments == {**BASE.model.arguments, "depth": 1}
    assert config.expected_accuracy == ""


def test_lists_conditions_and_fixed_values() -> None:
    text = """
    [settings]
    "training.loss" = "one-hot"
    "training.keep" = { choices = ["best", "last"] }
    "model.arguments.filters" = { choices = [[8, 16], [16, 32]] }
    [[conditional]]
    when = { "training.keep" = "best" }
    "training.early_stopping" = { low = 1, high = 3 }
    [[conditional]]
    when = { "training.keep" = ["last"] }
    "training.early_stopping" = { low = 5, high = 9 }
    """
    space = parse_space(tomllib.loads(text), "text")
    chosen = {
        "training.keep": "last",
        "model.arguments.filters": "[16, 32]",
        "training.early_stopping (last)": 7,
        "training.early_stopping (best)": 2,
    }
    assert suggest_settings(space, Repeating(chosen)) == {
        "training.loss": "one-hot",
        "training.keep": "last",
        "model.arguments.filters": [16, 32],
        "training.early_stopping": 7,
    }
    assert suggest_settings(space, Repeating({**chosen, "training.keep": "best"}))["training.early_stopping"] == 2
    check_space(space, BASE)


def test_ranges_choices_and_lists_find_their_values() -> None:
    whole = Range(8, 32, 8, log=False, whole=True)
    assert [whole.find(value) for value in (8, 24, 25, 40, "8", True)] == [8, 24, None, None, None, None]
    assert Range(0.0, 0.5, None, log=False, whole=False).find(0) == 0.0
    choice = Choice((True, 1, [2]))
    assert choice.labels == ("true", "1", "[2]")
    assert [choice.find(value) for value in (1, True, [2], 2)] == ["1", "true", "[2]", None]
    contents = {"model.arguments.filters": [8, {"low": 16, "high": 32, "step": 8}], **KEEP}
    filters, keep = parse_space({"settings": contents}, "text").parts[0].settings
    values = ([8, 24], [8, 25], [9, 24], [8], 8, "8")
    assert [filters.can_be(value) for value in values] == [True, False, False, False, False, False]
    assert (keep.can_be("last"), keep.can_be("first")) == (True, False)
    assert filters.find([9, 24]) == {"model.arguments.filters[1]": 24}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"settings": {"training.batchsize": {"choices": [1]}}}, "Did you mean 'training.batch_size'"),
        ({"setting": {}}, "Did you mean 'settings'"),
        ({"settings": {"training.batch_size": 64}}, "no setting varies"),
        ({"settings": {"training.batch_size": {"lo": 1, "high": 2}}}, "Did you mean 'low'"),
        ({"settings": {"training.batch_size": {"low": 3, "high": 2}}}, "low = 3 is above high = 2"),
        ({"settings": {"training.batch_size": {"low": 3}}}, "high = None is not a number"),
        ({"settings": {"training.batch_size": {"low": 3, "high": 4, "log": 1}}}, "neither true nor false"),
        ({"settings": {"training.batch_size": {"low": 0, "high": 4, "log": True}}}, "needs low > 0"),
        ({"settings": {"training.batch_size": {"low": 1, "high": 4, "step": 0}}}, "step = 0 is not above 0"),
        ({"settings": {"training.batch_size": {"choices": []}}}, "not a list of values"),
        ({"settings": {}, "limits": {"parameters": "many"}}, "parameters = 'many' is not a positive integer"),
        ({"settings": 3}, "not a table"),
        ({"settings": KEEP, "conditional": {"when": {"training.keep": "last"}}}, "Write [[conditional]]"),
        ({"settings": KEEP, "conditional": [{"when": "x"}]}, "lacks the table `when`"),
        ({"settings": KEEP, "conditional": [{"when": {"training.keep": "bset"}}]}, "never 'bset'. Did you mean 'best'"),
        ({"settings": KEEP, "conditional": [{"when": {"training.kept": "last"}}]}, "Did you mean 'training.keep'"),
        (
            {
                "settings": {**KEEP, "training.monitor": {"choices": ["loss", "accuracy"]}},
                "conditional": [
                    {"when": {"training.keep": "best"}, "optimizer.schedule": {"choices": ["constant", "cosine"]}},
                    {"when": {"optimizer.schedule": "cosine", "training.keep": "last"}, "optimizer.warmup": 0.1},
                ],
            },
            "is never true",
        ),
        ({"settings": {**KEEP, "training.seed": 3}}, "training.seed decides how trials are judged"),
        ({"settings": KEEP, "conditional": [{"when": {"training.keep": "last"}, "data.per_class": 9}]}, "are judged"),
    ],
)
def test_a_wrong_declaration_is_explained(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=r"^text: ") as caught:
        parse_space(values, "text")
    assert message in str(caught.value)


def test_conditions_on_conditional_settings_are_tried_out() -> None:
    text = """
    [settings]
    "training.reduce_on_plateau" = 0
    "training.keep" = { choices = ["best", "last"] }
    [[conditional]]
    when = { "training.keep" = "last" }
    "optimizer.schedule" = { choices = ["constant", "cosine"] }
    [[conditional]]
    when = { "optimizer.schedule" = "cosine", "training.keep" = ["best", "last"], "training.reduce_on_plateau" = 0 }
    "optimizer.warmup" = { low = 0.0, high = 0.5 }
    """
    corners = corner_configs(parse_space(tomllib.loads(text), "text"), BASE)
    assert [(each.optimizer.schedule, each.optimizer.warmup) for each in corners[-2:]] == [
        ("cosine", 0),
        ("cosine", 0.5),
    ]
    with pytest.raises(InputError, match=r"optimizer\.warmup = 7"):
        check_space(parse_space(tomllib.loads(text.replace("0.5", "7.0")), "text"), BASE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training.batch_size": {"low": 0, "high": 64}}, "training.batch_size = 0"),
        ({"training.label_smoothing": {"low": 0.0, "high": 0.1}}, "needs one-hot labels"),
    ],
)
def test_an_invalid_value_is_found_before_the_search(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_space(parse_space({"settings": settings}, "text"), override(BASE, {"training.loss": "sparse"}))


def test_a_space_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="Did you mean 'default'"):
        load_space("defalt")
    with pytest.raises(InputError, match="cannot be read"):
        load_space(str(Path("nowhere.toml")))
