"""Scores of corrupted images: as they are, and prepared; in one process and in several."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.datasets.dataset import DIGIT_NAMES, Dataset
from mnist_cnn.evaluation import narrative, robustness
from mnist_cnn.evaluation.corruptions import CORRUPTIONS
from mnist_cnn.evaluation.robustness import CorruptionScore, Robustness, measure_corruptions
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.reading.scaling import bundled_digits

Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def known() -> Dataset:
    found = bundled_digits()
    return Dataset("known", "test", found.images, found.labels, DIGIT_NAMES, "the package")


def classify(recognizer: Recognizer, images: Images) -> NDArray[np.int64]:
    best: NDArray[np.int64] = recognizer.network.scores(images, 1).argmax(axis=1)
    return best


@pytest.fixture(scope="module")
def measured(known: Dataset) -> list[CorruptionScore]:
    return list(measure_corruptions(partial(classify, Recognizer.load(threads=1)), known, workers=1))


def test_each_corruption_is_scored_as_it_is_and_prepared(measured: list[CorruptionScore], known: Dataset) -> None:
    assert [score.name.replace(" ", "_") for score in measured] == list(CORRUPTIONS)
    scores = {score.name: score for score in measured}
    for name in ("brightness", "fog"):
        assert scores[name].accuracy < 0.5
        assert scores[name].prepared_accuracy > 0.9
    corrupted, prepared = scores["brightness"].example
    shown = known.images[known.labels == 5][0]
    assert (corrupted == CORRUPTIONS["brightness"](shown[np.newaxis], np.random.default_rng())[0]).all()
    assert prepared.max() > 200
    assert not prepared[0].any()


def test_processes_change_nothing(
    measured: list[CorruptionScore], known: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robustness, "_FEW", 0)
    found = list(measure_corruptions(partial(classify, Recognizer.load(threads=1)), known, workers=2))
    for one, other in zip(measured, found, strict=True):
        assert (one.accuracy, one.prepared_accuracy) == (other.accuracy, other.prepared_accuracy)
        assert (one.example == other.example).all()


def test_blocks_of_images_get_draws_of_their_own(known: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "_BLOCK", 2)
    sizes: list[int] = []

    def corrupt(images: Images, generator: np.random.Generator) -> Images:
        sizes.append(len(images))
        return np.full_like(images, generator.integers(256))

    found = robustness._corrupt(corrupt, known.images[:5])  # noqa: SLF001
    assert sizes == [2, 2, 1]
    assert found.shape == (5, 28, 28)
    assert len(np.unique(found)) == 3


def test_mean_and_worst_are_those_of_each_column() -> None:
    example = np.zeros((2, 28, 28), np.uint8)
    scores = CorruptionScore("fog", 0.2, 0.9, example), CorruptionScore("scale", 0.6, 0.7, example)
    found = Robustness(10, scores)
    record = found.as_dict()
    assert [record[key] for key in ("mean", "worst", "prepared_mean", "prepared_worst")] == pytest.approx(
        [0.4, 0.2, 0.8, 0.7]
    )
    assert record["n"] == 10
    assert record["each"]["fog"] == {"accuracy": 0.2, "prepared_accuracy": 0.9}
    sentence = narrative.robustness(found)
    assert "40.0 % of the corrupted images correctly, and 80.0 % if they are first prepared" in sentence
    assert sentence.endswith("The lowest of these is 70.0 %, with scale.")


def test_data_of_one_class_have_an_example(known: Dataset) -> None:
    ones = dataclasses.replace(known.subset(np.flatnonzero(known.labels == 1)[:2]), name="ones")
    scores = measure_corruptions(lambda images: np.ones(len(images), np.int64), ones, workers=1)
    assert all(score.accuracy == 1 and score.example.shape == (2, 28, 28) for score in scores)
