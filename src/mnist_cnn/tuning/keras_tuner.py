"""The same spaces for Keras Tuner.

    from pathlib import Path

    import mnist_cnn.models.backend  # before Keras Tuner, since it changes a setting of TensorFlow
    import keras_tuner
    from mnist_cnn import load_dataset
    from mnist_cnn.config import load_recipe, save_config
    from mnist_cnn.tuning.declaration import load_space
    from mnist_cnn.tuning.keras_tuner import SpaceHyperModel

    recipe = load_recipe("batchnorm")
    networks = SpaceHyperModel(load_space("default"), recipe, load_dataset("mnist"))
    tuner = keras_tuner.Hyperband(
        networks,
        objective="val_accuracy",
        max_epochs=recipe.training.epochs,
        max_consecutive_failed_trials=20,  # networks over the space's limits count as failed
        directory="runs",
        project_name="hyperband",
    )
    tuner.search()
    save_config(Path("best.toml"), networks.configuration(tuner.get_best_hyperparameters()[0]))

`mnist-cnn train --recipe best.toml` then trains and saves the best network. Use `mnist-cnn tune` for several
objectives, and for workers that may be killed.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from typing import Any

from mnist_cnn.config import Config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import DivergedError, SettingError, requires_extra
from mnist_cnn.models.backend import keras
from mnist_cnn.models.folding import as_saved
from mnist_cnn.training.batch_statistics import BatchStatistics
from mnist_cnn.training.callbacks import Watch, patience_callbacks
from mnist_cnn.training.composed_batches import mix_in_composed
from mnist_cnn.training.listener import Listener
from mnist_cnn.training.precision import training_precision
from mnist_cnn.training.trainer import (
    compile_model,
    find_addition,
    fix_operation_order,
    new_model,
    prepare_data,
    run_epochs,
)
from mnist_cnn.training.unseen import check_held_out
from mnist_cnn.tuning.cost import count_costs, describe_excess
from mnist_cnn.tuning.space import Choice, Domain, Part, Space, configure, suggest_settings

with requires_extra("keras-tuner"):
    import keras_tuner

Conditions = dict[str, tuple[str, list[Any]]]  # a setting's label → the setting it depends on, and the allowed values


class SpaceHyperModel(keras_tuner.HyperModel):  # type: ignore[misc]  # Keras Tuner is untyped
    """Every network of a space, trained as `mnist-cnn train` does; `val_accuracy` is the objective."""

    def __init__(self, space: Space, base: Config, dataset: Dataset) -> None:
        """Prepare for a search.

        Args:
            space: What may vary.
            base: What does not vary. Its epochs are the length of the schedule: rounds of Hyperband continue it.
            dataset: The training split; every trial holds out the same validation images.

        Raises:
            SettingError: The configuration holds out no images, or does not fit the data.
        """
        super().__init__()
        if not base.data.validation:
            raise SettingError("data.validation = 0 leaves no images to choose by. Set data.validation = 0.2.")
        check_held_out(base, dataset)
        self._space = space
        self._base = base
        self._dataset = dataset
        self._added = find_addition(base, dataset)
        self._images = len(prepare_data(base, dataset, self._added)[0].images)
        self._conditions = _read_conditions(space)

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declare to a tuner, before its first trial, everything that may vary, and when."""
        chooser = _Chooser(hp, self._conditions)
        for part in self._space.parts:
            for name, domain in _domains(part):
                domain.draw(name, chooser)

    def configuration(self, hp: keras_tuner.HyperParameters) -> Config:
        """Return the configuration that these values stand for."""
        return configure(self._base, suggest_settings(self._space, _Chooser(hp, self._conditions)))

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the compiled network of one trial."""
        config = self.configuration(hp)
        if config.training.deterministic:
            fix_operation_order()
        model = new_model(config, self._dataset, training_precision(config))
        compile_model(model, config, math.ceil(self._images / config.training.batch_size))
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *,
        epochs: int | None = None,
        initial_epoch: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: Any = 0,
    ) -> keras.callbacks.History:
        """Train the network of one trial on this package's own batches.

        Args:
            hp: The trial's values.
            model: What `build` made of them, with the weights of an earlier Hyperband round.
            epochs: Where to stop; by default where the configuration does.
            initial_epoch: Where to start, 0-based.
            callbacks: The tuner's, which keep the weights of the best epoch.
            verbose: Ignored: training is silent.

        Returns:
            Keras' history with `accuracy`, `val_accuracy`, `loss` and `val_loss` of each epoch.

        Raises:
            FailedTrialError: The network is over the space's limits, or its loss became NaN or infinite.
            KeyboardInterrupt: Ctrl-C.
        """
        del verbose
        config = self.configuration(hp)
        if excess := describe_excess(count_costs(as_saved(model, config.model.fold)), self._space.limits):
            raise keras_tuner.errors.FailedTrialError(excess)
        batches, held_out = prepare_data(config, self._dataset, self._added)
        batches = mix_in_composed(batches, config, self._dataset)
        averaging = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if config.optimizer.ema else []
        statistics = BatchStatistics(batches.undistorted, config.training.seed, has_validation=True)
        ours = [*averaging, statistics, Watch(Listener()), *patience_callbacks(config, has_validation=True)]
        span = range(initial_epoch, _last_epoch(config, epochs))
        ending = run_epochs(model, batches, held_out, span, [*ours, *callbacks])
        if isinstance(ending, DivergedError):
            raise keras_tuner.errors.FailedTrialError(str(ending))
        if ending:
            raise KeyboardInterrupt
        return model.history


class _Chooser:
    """Lets Keras Tuner draw from a space."""

    def __init__(self, hp: keras_tuner.HyperParameters, conditions: Conditions) -> None:
        self._hp = hp
        self._conditions = conditions

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        return self._draw("Float", name, low, low, high, step, sampling="log" if log else "linear")

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        # For Keras Tuner, the step of a logarithmic range is a factor.
        return self._draw("Int", name, low, low, high, None if log else step, sampling="log" if log else "linear")

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        labels = _labels(choices)
        return choices[labels.index(self._draw("Choice", name, labels[0], labels))]

    def _draw(self, kind: str, name: str, default: Any, *arguments: Any, **options: Any) -> Any:
        """Draw a value. If its condition is false, there is none, and the default only declares it."""
        scope = self._hp.conditional_scope(*self._conditions[name]) if name in self._conditions else None
        with scope or contextlib.nullcontext():
            value = getattr(self._hp, kind)(name, *arguments, **options)
        return default if value is None else value


def _read_conditions(space: Space) -> Conditions:
    """Return the conditions that Keras Tuner can express: those on one choice that every trial makes.

    Settings under any other condition are drawn in every trial, and ignored if it is false.
    """
    made = {setting.name: setting.content for part in space.parts if not part.when for setting in part.settings}
    conditions: Conditions = {}
    for part in space.parts:
        for parent, options in part.when.items():
            choice = made.get(parent)
            if len(part.when) == 1 and isinstance(choice, Choice):
                named = dict(zip(choice.labels, _labels(choice.labels), strict=True))
                allowing = [named[label] for label in map(choice.find, options) if label in named]
                conditions |= {name: (parent, allowing) for name, _ in _domains(part)}
    return conditions


def _domains(part: Part) -> list[tuple[str, Domain]]:
    return [(name, domain) for setting in part.settings for name, domain, _ in setting.domains()]


def _labels(choices: Sequence[Any]) -> list[Any]:
    """Name choices by labels of one type, as Keras Tuner requires."""
    return list(choices) if len({type(choice) for choice in choices}) == 1 else [json.dumps(each) for each in choices]


def _last_epoch(config: Config, wanted: int | None) -> int:
    planned = config.training.epochs
    if wanted is not None and wanted > planned:
        raise keras_tuner.errors.FatalValueError(
            f"the tuner asks for {wanted} epochs, but the configuration's schedule ends after {planned}. "
            f"Give Hyperband max_epochs = {planned}, or raise training.epochs to its maximum."
        )
    return planned if wanted is None else wanted
