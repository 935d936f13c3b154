from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from late import Late
from mnist_cnn.config import OptimizerConfig
from mnist_cnn.errors import InputError

keras, optimizers = Late("keras"), Late("mnist_cnn.training.optimizers")

STEPS = 200


def rates(**settings: Any) -> list[float]:
    schedule = optimizers.build_schedule(OptimizerConfig(**settings), STEPS)
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(STEPS + 20)]


def one_cycle(step: int, highest: float, final: float, warmup: int) -> float:
    if step < warmup:
        return highest / 25 + (highest - highest / 25) * step / warmup
    return final + (highest - final) * max(0, STEPS - step) / (STEPS - warmup)


def cosine(step: int, highest: float, final: float, warmup: int) -> float:
    if step < warmup:
        return highest * step / warmup
    share = min(1.0, (step - warmup) / (STEPS - warmup))
    return final + (highest - final) * 0.5 * (1 + math.cos(math.pi * share))


@pytest.mark.parametrize("warmup", [0.0, 0.25])
@pytest.mark.parametrize("final", [0.0, 1e-4, 1e-3])
@pytest.mark.parametrize(("schedule", "formula"), [("one-cycle", one_cycle), ("cosine", cosine)])
def test_schedules_follow_their_formulas(schedule: str, formula: Any, warmup: float, final: float) -> None:
    found = rates(schedule=schedule, learning_rate=0.01, final_learning_rate=final, warmup=warmup)
    expected = [formula(step, 0.01, final, round(warmup * STEPS)) for step in range(STEPS + 20)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)
    assert max(found) == pytest.approx(0.01)
    assert found[-1] == pytest.approx(final, abs=1e-8)


def test_a_constant_rate_is_one_that_the_plateau_rule_can_lower() -> None:
    optimizer = optimizers.build_optimizer(OptimizerConfig(learning_rate=0.02), STEPS)
    assert optimizers.current_rate(optimizer) == pytest.approx(0.02)
    optimizer.learning_rate = 0.01
    assert optimizers.current_rate(optimizer) == pytest.approx(0.01)


def test_a_schedule_is_rebuilt_from_its_settings() -> None:
    schedule = optimizers.OneCycle(0.01, 0.001, 10, 100)
    again = optimizers.OneCycle.from_config(schedule.get_config())
    assert [float(again(step)) for step in (0, 5, 50)] == [float(schedule(step)) for step in (0, 5, 50)]


@pytest.mark.parametrize(("share", "momentum"), [(0.0, None), (0.1, 1 - 1 / 20), (1e-6, 0.5)])
def test_the_averaging_time_becomes_a_momentum(share: float, momentum: float | None) -> None:
    optimizer = optimizers.build_optimizer(OptimizerConfig(ema=share), STEPS)
    assert optimizer.use_ema == (momentum is not None)
    if momentum is not None:
        optimizer.iterations.assign(100_000)  # long after the average has grown to its full time
        assert float(optimizer.ema_momentum) == pytest.approx(momentum)


def test_a_young_average_does_not_remember_where_training_began() -> None:
    """Against the formula, written out; with a constant momentum of 0.99 the start would weigh 0.67 after 40 steps."""
    optimizer = optimizers.build_optimizer(OptimizerConfig(name="sgd", learning_rate=0.1, ema=0.5), STEPS)
    weight = keras.Variable(np.array([5.0]))
    average, share_of_the_start = 0.0, 1.0
    for step in range(40):
        optimizer.apply([keras.ops.ones(1)], [weight])
        momentum = min(1 - 1 / 100, (1 + step) / (10 + step)) if step else 0.0  # Keras begins with the first weights
        average = momentum * average + (1 - momentum) * float(weight[0])
        share_of_the_start *= momentum if step else 1.0
    kept = next(variable for variable in optimizer.variables if "average" in variable.path)
    assert float(kept[0]) == pytest.approx(average, rel=1e-4)
    assert share_of_the_start < 1e-4


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weight_decay_is_decoupled_from_the_gradient(name: Any) -> None:
    weight = keras.Variable(np.array([2.0, -4.0]))
    optimizer = optimizers.build_optimizer(OptimizerConfig(name=name, learning_rate=0.1, weight_decay=0.05), STEPS)
    optimizer.apply([keras.ops.zeros(2)], [weight])
    np.testing.assert_allclose(weight, np.array([2.0, -4.0]) * (1 - 0.1 * 0.05), rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "rmsprop", "sgd"])
def test_every_optimizer_goes_downhill_and_decays_no_weights_by_default(name: Any) -> None:
    weight, idle = keras.Variable(np.array([1.0])), keras.Variable(np.array([3.0]))
    optimizer = optimizers.build_optimizer(OptimizerConfig(name=name, learning_rate=0.01), STEPS)
    for _ in range(50):
        optimizer.apply([2 * keras.ops.convert_to_tensor(weight), keras.ops.zeros(1)], [weight, idle])
    assert abs(float(weight[0])) < 0.9
    assert float(idle[0]) == pytest.approx(3.0)


def test_sgd_has_nesterov_momentum() -> None:
    optimizer = optimizers.build_optimizer(OptimizerConfig(name="sgd", learning_rate=0.1, momentum=0.5), STEPS)
    weight = keras.Variable(np.array([0.0]))
    position, velocity = 0.0, 0.0
    for _ in range(3):
        optimizer.apply([keras.ops.ones(1)], [weight])
        velocity = 0.5 * velocity - 0.1
        position += 0.5 * velocity - 0.1
        assert float(weight[0]) == pytest.approx(position)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_a_schedule_does_not_end_above_its_peak(schedule: str) -> None:
    with pytest.raises(InputError, match=r"final_learning_rate = 0\.001 is higher than learning_rate = 0\.0005"):
        rates(schedule=schedule, learning_rate=5e-4, final_learning_rate=1e-3)
