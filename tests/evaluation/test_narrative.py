from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.config import parse_config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.evaluation import metrics, narrative
from mnist_cnn.evaluation.templates import duration

NAMES = ("a", "b", "c")
PLAIN = {
    "data": {"validation": 0.2},
    "augmentation": {"rotation": 0.0},
    "training": {"epochs": 20, "keep": "best", "monitor": "loss"},
}


def judged(labels: list[int], predicted: list[int]) -> tuple[metrics.Metrics, Dataset]:
    images = np.zeros((len(labels), 28, 28), dtype=np.uint8)
    dataset = Dataset("few", "test", images, np.array(labels, dtype=np.int64), NAMES, "test")
    return metrics.measure(dataset.labels, np.eye(3)[predicted], NAMES), dataset


@pytest.mark.parametrize(
    ("labels", "predicted", "sentence"),
    [
        ([0], [0], "The model reads all 1 test image of few right."),
        (
            [0, 1, 1, 2],
            [0, 2, 2, 2],
            "reads 2 of 4 test images of few right. Most often it takes b for c (2 times).",
        ),
        ([0, 1], [1, 1], "reads 1 of 2 test images of few right. No confusion happens more than once."),
        ([0, 1, 2], [2, 2, 2], "That is little better than guessing: it answers c for 100% of them."),
    ],
)
def test_verdict(labels: list[int], predicted: list[int], sentence: str) -> None:
    assert sentence in narrative.verdict(*judged(labels, predicted))


def test_limits_name_classes_that_never_occur() -> None:
    limits = narrative.limits(*judged([0, 0], [0, 1]), trained_here=True)
    assert any("2 classes of the model never occur" in limit for limit in limits)


def test_recipe_says_what_is_special_and_nothing_else() -> None:
    plain = narrative.recipe(parse_config(PLAIN, "test"), epochs=20, best=17)
    assert "not distorted" in plain
    assert "Training ran for 20 epochs; the weights after epoch 17" in plain
    assert "weight decay" not in plain
    special = narrative.recipe(
        parse_config(
            {
                "data": {"validation": 0.0},
                "augmentation": {"rotation": 10.0, "flip_vertical": True},
                "optimizer": {"name": "adamw", "weight_decay": 0.01, "schedule": "one-cycle", "ema": 0.99},
                "training": {"label_smoothing": 0.1, "loss": "one-hot", "epochs": 1},
            },
            "test",
        ),
        epochs=1,
        best=1,
    )
    for phrase in (
        "none of them held out", "rotated by up to ±10° and mirrored at random", "one-cycle learning rate",
        "weight decay 0.01", "label smoothing 0.1", "ran for 1 epoch, and the weights after the last one",
    ):  # fmt: skip
        assert phrase in special


def test_recipe_says_what_a_network_was_taught_beside_what_it_knew() -> None:
    taught = narrative.recipe(
        parse_config({"data": {"add": "/home/me/my-digits"}, "model": {"init_from": "digits"}}, "test"), 1, 1
    )
    assert "started from the weights that ship, was trained" in taught
    assert "Images of my-digits were learnt beside them, repeated to make up at least 10 % of each epoch." in taught


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.21, "4.2 s"),
        (58.4, "58 s"),
        (185, "3 min 5 s"),
        (4320, "1 h 12 min"),
        (59.7, "60 s"),
        (3599.9, "1 h 0 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("only_first", "only_second", "sentence"),
    [
        (0, 12, "b reads better than a (difference +12.00 points"),
        (12, 0, "b reads worse than a (difference -12.00 points"),
        (6, 6, "b and a do not differ by more than chance explains (difference +0.00 points"),
    ],
)
def test_paired(only_first: int, only_second: int, sentence: str) -> None:
    labels = np.zeros(100, dtype=np.int64)
    first, second = labels.copy(), labels.copy()
    second[:only_first] = 1
    first[50 : 50 + only_second] = 1
    assert sentence in narrative.paired("a", "b", metrics.paired_test(labels, first, second))
