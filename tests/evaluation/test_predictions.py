from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import InputError
from mnist_cnn.evaluation import predictions as evaluation
from mnist_cnn.evaluation.predictions import Predictions

if TYPE_CHECKING:
    import keras


def test_predictions_do_not_depend_on_the_batch_size(digits: Dataset, network: keras.Model, said: Predictions) -> None:
    parts = evaluation.predict(network, digits, batch_size=7)
    np.testing.assert_allclose(parts.probabilities, said.probabilities, atol=1e-6)


def test_predictions_agree_with_a_loop_over_the_images(digits: Dataset, said: Predictions) -> None:
    for index, row in enumerate(said.probabilities):
        best = max(range(10), key=lambda label: row[label])
        assert said.predicted[index] == best
        assert said.confidence[index] == row[best]
        assert said.is_wrong[index] == (best != digits.labels[index])
    assert np.all(np.diff(said.losses[said.hardest_first]) <= 0)
    assert set(said.worst_errors) == set(np.flatnonzero(said.is_wrong))
    assert 0 < len(said.worst_errors) < len(digits), "the fixture must have right and wrong predictions"


def test_predictions_are_read_back_exactly(tmp_path: Path, digits: Dataset, said: Predictions) -> None:
    evaluation.write_predictions(tmp_path / "predictions.csv", said)
    labels, probabilities = evaluation.read_predictions(tmp_path / "predictions.csv")
    np.testing.assert_array_equal(labels, digits.labels)
    np.testing.assert_array_equal(probabilities, said.probabilities)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "index,label,predicted,confidence,loss,p0,p1\n0,1\n"])
def test_a_table_of_other_things_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"predictions\.csv"):
        evaluation.read_predictions(path)


def test_known_label_errors_are_left_out_of_mnists_test_set_only(
    monkeypatch: pytest.MonkeyPatch, digits: Dataset
) -> None:
    wrong_at_3_and_9 = np.eye(10, dtype=np.float32)[(digits.labels + np.isin(np.arange(200), [3, 9])) % 10]
    said = Predictions(digits, wrong_at_3_and_9)
    assert evaluation.without_label_errors(said) is None
    monkeypatch.setattr(evaluation, "MNIST_TEST_CHECKSUM", digits.checksum())
    monkeypatch.setattr(evaluation, "MNIST_TEST_LABEL_ERRORS", (3, 5))
    cleaned = evaluation.without_label_errors(said)
    assert cleaned is not None
    assert (cleaned.excluded, cleaned.n, cleaned.errors) == (2, 198, 1)


def test_a_model_of_ten_digits_is_evaluated_on_some_of_them(digits: Dataset, network: keras.Model) -> None:
    few = digits.subset(np.flatnonzero(np.isin(digits.labels, (3, 8))))
    own = replace(few, labels=(few.labels == 8).astype(np.int64), class_names=("three", "8"))
    found, expected = evaluation.predict(network, own), evaluation.predict(network, few)
    np.testing.assert_array_equal(found.labels, few.labels)
    assert evaluation.evaluate(found).accuracy == evaluation.evaluate(expected).accuracy
    with pytest.raises(InputError, match=r"the model has 10 classes, but .* has 2"):
        evaluation.predict(network, replace(own, class_names=("cat", "dog")))
