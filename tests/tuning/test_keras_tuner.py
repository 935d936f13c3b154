"""The space adapter for Keras Tuner: what it declares, and tuners that search with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from late import Late
from mnist_cnn.config import Config, load_recipe, save_config
from mnist_cnn.errors import InputError
from mnist_cnn.tuning.declaration import load_space, parse_space
from training.tiny import digits, tiny_config
from tuning.small import SPACE

if importlib.util.find_spec("keras_tuner") is None:
    pytest.skip("KERAS TUNER NOT TESTED: pip install '.[keras-tuner]'", allow_module_level=True)

keras_tuner, adapter = Late("keras_tuner"), Late("mnist_cnn.tuning.keras_tuner")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),  # Keras Tuner's own
]

OF_ALL_KINDS = {
    "settings": {
        "model.architecture": {"choices": ["conv3", "batchnorm"]},
        "training.batch_size": {"low": 16, "high": 64, "log": True},
        "optimizer.learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
        "augmentation.rotation": {"low": 0.0, "high": 10.0, "step": 2.5},
        "training.deterministic": {"choices": [True, False]},
        "optimizer.warmup": {"choices": [0, 0.25]},
        "model.arguments.filters": {"choices": [[2, 4], [4, 4]]},
        "model.arguments.dense": 8,
    },
    "conditional": [
        {"when": {"model.architecture": "conv3"}, "model.arguments.kernel": {"choices": [3, 5]}},
        {
            "when": {"model.architecture": "batchnorm", "training.deterministic": True},
            "model.arguments.dropout": {"low": 0.25, "high": 0.5},
        },
    ],
}


def networks(space: dict[str, Any] = SPACE, settings: dict[str, Any] | None = None) -> Any:
    return adapter.SpaceHyperModel(
        parse_space(space, "small"), tiny_config({"training.epochs": 2, **(settings or {})}), digits(200)
    )


def search(kind: str, root: Path, model: Any, **options: Any) -> Any:
    tuner = getattr(keras_tuner, kind)(
        model, objective="val_accuracy", directory=root, project_name="small", seed=3, **options
    )
    tuner.search(verbose=0)
    return tuner


def test_the_tuner_searches_the_space(tmp_path: Path) -> None:
    model = networks()
    options = {"max_trials": 3, "num_initial_points": 2}
    tuner = search("BayesianOptimization", tmp_path, model, **options)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * options["max_trials"]
    assert all(0.05 < trial.score <= 1 for trial in trials)
    assert len({str(trial.hyperparameters.values) for trial in trials}) == len(trials)
    best = tuner.get_best_hyperparameters()[0]
    config = model.configuration(best)
    assert config.optimizer.learning_rate == best["optimizer.learning_rate"]
    assert config.model.arguments["filters"] == [best[f"model.arguments.filters[{index}]"] for index in (0, 1)]
    save_config(tmp_path / "best.toml", config)
    assert load_recipe(str(tmp_path / "best.toml")) == config


def test_hyperband_continues_with_the_optimizer_s_state(tmp_path: Path) -> None:
    rounds = []

    class Noting(adapter.SpaceHyperModel):  # type: ignore[misc, name-defined]
        def fit(self, hp: Any, model: Any, **arguments: Any) -> Any:
            before = int(model.optimizer.iterations)
            history = super().fit(hp, model, **arguments)
            rounds.append((arguments["initial_epoch"], before, len(history.history["val_accuracy"])))
            return history

    space = {"settings": {"model.arguments.dense": {"low": 8, "high": 16}}}
    settings = {"training.epochs": 2, "optimizer.schedule": "one-cycle", "optimizer.ema": 0.2}
    model = Noting(parse_space(space, "small"), tiny_config(settings), digits(200))
    tuner = search("Hyperband", tmp_path, model, max_epochs=2, factor=2)
    assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}
    steps = 5  # an epoch's: 160 images in batches of 32
    assert set(rounds) == {(0, 0, 1), (1, steps, 1), (0, 0, 2)}


def test_everything_a_space_can_declare_reaches_the_tuner(tmp_path: Path) -> None:
    class Untrained(adapter.SpaceHyperModel):  # type: ignore[misc, name-defined]
        def fit(self, hp: Any, model: Any, **arguments: Any) -> Any:
            return {"val_accuracy": 0.5}

    model = Untrained(parse_space(OF_ALL_KINDS, "all"), tiny_config(), digits(200))
    tuner = search("RandomSearch", tmp_path, model, max_trials=8)
    space = {hp.name: hp for hp in tuner.oracle.get_space().space}
    assert set(space) == {
        "model.architecture",
        "training.batch_size",
        "optimizer.learning_rate",
        "augmentation.rotation",
        "training.deterministic",
        "optimizer.warmup",
        "model.arguments.filters",
        "model.arguments.kernel",
        "model.arguments.dropout",
    }
    assert [condition.name for condition in space["model.arguments.kernel"].conditions] == ["model.architecture"]
    assert {hp.name for hp in space.values() if hp.conditions} == {"model.arguments.kernel"}
    for trial in tuner.oracle.trials.values():
        assert trial.status == "COMPLETED"
        check_meaning(trial.hyperparameters, model.configuration(trial.hyperparameters))


def check_meaning(hp: Any, config: Config) -> None:
    assert config.model.architecture == hp["model.architecture"]
    assert 16 <= config.training.batch_size <= 64
    assert 1e-3 <= config.optimizer.learning_rate <= 3e-2
    assert config.augmentation.rotation % 2.5 == 0
    assert config.training.deterministic is bool(hp["training.deterministic"])
    assert config.optimizer.warmup in (0, 0.25)
    assert config.model.arguments["filters"] in ([2, 4], [4, 4])
    assert config.model.arguments["dense"] == 8
    assert ("kernel" in config.model.arguments) == (config.model.architecture == "conv3")
    assert ("kernel" in config.model.arguments) == hp.is_active("model.arguments.kernel")
    regularised = config.model.architecture == "batchnorm" and config.training.deterministic
    assert (config.model.arguments.get("dropout", 0.2) >= 0.25) == regularised, "0.2 is the base's"


def test_the_whole_default_space_reaches_the_tuner() -> None:
    hp = keras_tuner.HyperParameters()
    model = adapter.SpaceHyperModel(load_space("default"), tiny_config(), digits())
    model.declare_hyperparameters(hp)
    assert model.configuration(hp).model.architecture == "light", "the first choice"
    names = {
        name for part in load_space("default").parts for setting in part.settings for name, _, _ in setting.domains()
    }
    assert {each.name for each in hp.space} == names


def test_over_the_limits_or_diverging_is_a_failed_trial(tmp_path: Path) -> None:
    small = networks({**SPACE, "limits": {"parameters": 100}})
    with pytest.raises(RuntimeError, match="parameters are over the limit 100"):
        search("RandomSearch", tmp_path / "large", small, max_trials=5, max_consecutive_failed_trials=2)
    wild = networks({"settings": {"optimizer.learning_rate": {"choices": [1e37, 1e38]}}})
    with pytest.raises(RuntimeError, match="the loss became"):
        search("RandomSearch", tmp_path / "wild", wild, max_trials=2, max_consecutive_failed_trials=1)


def test_more_epochs_than_the_schedule_has_are_refused() -> None:
    model, hp = networks(), keras_tuner.HyperParameters()
    with pytest.raises(keras_tuner.errors.FatalValueError, match=r"asks for 3 epochs.*Give Hyperband max_epochs = 2"):
        model.fit(hp, model.build(hp), epochs=3)


def test_validation_is_needed() -> None:
    with pytest.raises(InputError, match=r"Set data.validation = 0.2"):
        networks(settings={"data.validation": 0.0})
