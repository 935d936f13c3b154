from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import InputError
from mnist_cnn.evaluation import comparison
from mnist_cnn.evaluation.findings import gather, metrics_record
from mnist_cnn.evaluation.metrics import METRICS, paired_test
from mnist_cnn.evaluation.predictions import Predictions, write_predictions
from mnist_cnn.files import write_json
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    import keras


def evaluated(run: RunFolder, network: keras.Model, said: Predictions) -> RunFolder:
    """Write what comparing needs, without the pictures."""
    write_predictions(run.predictions, said)
    write_json(run.metrics, metrics_record(gather(run, network, said, {}, "")))
    return run


def test_runs_are_compared(
    make_run: Callable[..., RunFolder], network: keras.Model, digits: Dataset, said: Predictions
) -> None:
    sure = Predictions(digits, np.eye(10, dtype=np.float32)[digits.labels])
    first = evaluated(make_run("first-001", batch_size=64), network, said)
    second = evaluated(make_run("second-001", batch_size=32), network, sure)
    found = comparison.compare([first, second])
    assert found.runs == ("first-001", "second-001")
    assert found.settings == {"training.batch_size": (64, 32)}
    assert found.metrics["errors"] == (int(said.is_wrong.sum()), 0)
    assert found.metrics["training.seconds"] == (4.5, 4.5)
    assert {metric.key for metric in METRICS} <= set(found.metrics)
    assert ["accuracy", f"{1 - said.is_wrong.mean():.2%}", "100.00%"] in found.metric_rows()
    (pair,) = found.tests
    assert pair.test == paired_test(digits.labels, said.predicted, digits.labels)
    assert pair.summary.startswith("second-001 is more accurate than first-001 (difference +")


def test_runs_on_different_images_are_not_tested_and_the_reason_is_given(
    make_run: Callable[..., RunFolder], network: keras.Model, digits: Dataset, said: Predictions
) -> None:
    first = evaluated(make_run("first-001"), network, said)
    half = Predictions(digits.subset(np.arange(100)), said.probabilities[:100])
    second = evaluated(make_run("second-001"), network, half)
    (pair,) = comparison.compare([first, second]).tests
    assert pair.test is None
    assert "digits (200 images)" in pair.reason
    assert "digits (100 images)" in pair.reason
    assert pair.reason in pair.summary


def test_too_few_or_unfinished_runs_are_refused(make_run: Callable[..., RunFolder]) -> None:
    run = make_run()
    with pytest.raises(InputError, match="at least 2 runs"):
        comparison.compare([run])
    with pytest.raises(InputError, match="not finished"):
        comparison.compare([run, run])


def test_an_empty_table_of_settings_is_not_a_difference_of_its_own() -> None:
    configs: list[dict[str, object]] = [{"model.arguments": {}}, {"model.arguments.filters": [8, 16]}]
    assert comparison.differing(configs) == {"model.arguments.filters": (None, [8, 16])}
