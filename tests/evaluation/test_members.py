"""What is said about the members of an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.datasets import Dataset
from mnist_cnn.evaluation import narrative
from mnist_cnn.evaluation.figures.disagreement import disagreements
from mnist_cnn.evaluation.members import Members, find_members
from mnist_cnn.evaluation.predictions import Predictions, predict

if TYPE_CHECKING:
    import keras

LABELS = [0, 1, 1, 0]
ONE = [[0.9, 0.1], [0.4, 0.6], [0.9, 0.1], [0.2, 0.8]]
OTHER = [[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7]]


def make_members() -> Members:
    images = np.zeros((4, 28, 28), np.uint8)
    dataset = Dataset("few", "test", images, np.array(LABELS), ("a", "b"), "here")
    each = [np.array(rows, np.float32) for rows in (ONE, OTHER)]
    said = [Predictions(dataset, rows) for rows in (*each, np.mean(each, axis=0))]
    return Members(("one", "other"), (said[0], said[1]), said[2])


def test_scores_and_disagreement() -> None:
    members = make_members()
    assert [(score.name, score.accuracy, score.errors) for score in members.scores] == [
        ("one", 0.5, 2), ("other", 0.5, 2),
    ]  # fmt: skip
    assert members.scores[0].log_loss == pytest.approx(-np.log([0.9, 0.6, 0.1, 0.2]).mean())
    assert members.disputed.tolist() == [2, 1], "the greatest disagreement first"
    record = members.as_dict()
    assert (record["accuracy_mean"], record["accuracy_sd"]) == (0.5, 0.0)
    assert (record["disputed"], record["disputed_right"]) == (2, int((~members.ensemble.is_wrong[[1, 2]]).sum()))


def test_the_sentence_and_the_picture() -> None:
    members = make_members()
    assert "(mean 50.00 ± 0.00 %)" in narrative.members(members)
    assert "different classes for 2 images" in narrative.members(members)
    for names in (("a", "b"), ("trouser", "coat")):
        images, labels = members.ensemble.dataset.images, members.ensemble.labels
        figure = disagreements(images, labels, members.answers, members.ensemble.predicted, names)
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert texts == [names[each] for each in members.answers.T.ravel()]


def test_members_are_found_in_an_average_only(network: keras.Model, digits: Dataset) -> None:
    import keras

    from mnist_cnn.models.averaging import average_models

    few = digits.subset(np.arange(20))
    assert find_members(network, predict(network, few), ()) is None
    ensemble = average_models([keras.models.clone_model(network), keras.models.clone_model(network)])
    members = find_members(ensemble, predict(ensemble, few), ("a/one", "b/one"))
    assert members is not None
    assert members.names == ("a/one", "b/one"), "their last parts are the same"
    mean = np.mean([said.probabilities for said in members.predictions], axis=0)
    np.testing.assert_allclose(members.ensemble.probabilities, mean, atol=1e-6)
