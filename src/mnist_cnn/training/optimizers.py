"""Build the Keras optimizer; shares of the training become steps here."""

from __future__ import annotations

from typing import Any

from mnist_cnn.config import OptimizerConfig
from mnist_cnn.errors import SettingError
from mnist_cnn.models.backend import keras, ops

_ONE_CYCLE_START = 1 / 25  # of the peak learning rate, as in fastai and PyTorch


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras is untyped
    """Linear rise to the peak, then linear fall (Smith & Topin 2018, "super-convergence")."""

    def __init__(self, highest: float, final: float, warmup_steps: int, steps: int) -> None:
        super().__init__()
        self.highest = highest
        self.final = final
        self.warmup_steps = warmup_steps
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, a scalar tensor."""
        # Two straight lines, of which the lower one counts; few operations, because Keras traces them per variable.
        step = ops.cast(step, "float32")
        start = self.highest * _ONE_CYCLE_START if self.warmup_steps else self.highest
        rise = (self.highest - start) / max(1, self.warmup_steps)
        fall = (self.highest - self.final) / max(1, self.steps - self.warmup_steps)
        falling = ops.maximum((self.final + fall * self.steps) - fall * step, self.final)
        return ops.minimum(start + rise * step, falling) if self.warmup_steps else falling

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return dict(vars(self))


class Trapezoid(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear rise, a long constant phase, a linear fall to zero ("warmup-stable-decay": Hu et al. 2024, MiniCPM)."""

    def __init__(self, highest: float, warmup_steps: int, decay_steps: int, steps: int) -> None:
        super().__init__()
        self.highest = highest
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at `step`, a scalar tensor."""
        step = ops.cast(step, "float32")
        rising = (step + 1) / max(1, self.warmup_steps)
        falling = (self.steps - step) / max(1, self.decay_steps)
        return self.highest * ops.clip(ops.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return dict(vars(self))


class _GrowingAverage:
    """Lets an optimizer average its weights over a share of the steps so far, until that is the full averaging time.

    Otherwise the average contains the random initial weights for a long time. The ramp is TensorFlow's
    (`tf.train.ExponentialMovingAverage`, `num_updates`).
    """

    iterations: Any

    @property
    def ema_momentum(self) -> Any:
        """Return the weight of the previous average at the current step."""
        steps = ops.cast(self.iterations, "float32")
        return ops.minimum(self._final_momentum, (1 + steps) / (10 + steps))

    @ema_momentum.setter
    def ema_momentum(self, value: float) -> None:
        self._final_momentum = value


def build_optimizer(config: OptimizerConfig, steps: int) -> keras.optimizers.Optimizer:
    """Build the optimizer for a training of `steps` steps in total."""
    arguments: dict[str, Any] = {"learning_rate": build_schedule(config, steps)}
    if config.name == "adamw" or config.weight_decay:
        arguments["weight_decay"] = config.weight_decay  # even 0: the default of Keras' AdamW is 0.004
    if config.ema:
        arguments |= {"use_ema": True, "ema_momentum": 1 - 1 / max(2.0, config.ema * steps)}
    if config.name == "sgd":
        arguments |= {"momentum": config.momentum, "nesterov": True}
    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "nadam": keras.optimizers.Nadam,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }
    kind = kinds[config.name]
    if config.ema:
        kind = type(kind.__name__, (_GrowingAverage, kind), {})
    return kind(**arguments)


def build_schedule(config: OptimizerConfig, steps: int) -> Any:
    """Build the learning rate: a number, or a schedule over `steps` steps.

    Raises:
        SettingError: The schedule would end above its peak.
    """
    warmup_steps = round(config.warmup * steps)
    if config.schedule == "constant":
        return config.learning_rate
    if config.final_learning_rate > config.learning_rate:
        raise SettingError(
            f"final_learning_rate = {config.final_learning_rate:g} is higher than learning_rate = "
            f"{config.learning_rate:g}, the peak of the schedule. Use a lower one."
        )
    if config.schedule == "one-cycle":
        return OneCycle(config.learning_rate, config.final_learning_rate, warmup_steps, steps)
    rising = {"warmup_target": config.learning_rate, "warmup_steps": warmup_steps} if warmup_steps else {}
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else config.learning_rate,
        decay_steps=max(1, steps - warmup_steps),
        alpha=config.final_learning_rate / config.learning_rate,
        **rising,
    )


def current_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Return the learning rate of the next step."""
    return float(ops.convert_to_numpy(optimizer.learning_rate))
