from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.config import override, parse_config
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.evaluation import metrics, narrative

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
        ([0], [0], "The model classified the only test image of few correctly."),
        ([0, 1], [0, 1], "The model classified all 2 test images of few correctly."),
        ([0, 1, 1, 2], [0, 2, 2, 2], "2 of 4 test images of few correctly. It most often mistook b for c (2 times)."),
        ([0, 1], [1, 1], "classified 1 of 2 test images of few correctly. It made no error more than once."),
        ([0, 1, 2], [2, 2, 2], "That is little better than guessing: it answered c for 3 images."),
    ],
)
def test_verdict(labels: list[int], predicted: list[int], sentence: str) -> None:
    assert sentence in narrative.verdict(*judged(labels, predicted))


def test_limits_name_classes_that_never_occur() -> None:
    limits = list(narrative.limits(*judged([0, 0], [0, 1]), narrative.TRAINED_HERE))
    assert "The data set has no images of 2 classes of the model." in limits


def test_the_recipe_names_only_what_was_used() -> None:
    plain = narrative.recipe(parse_config(PLAIN, "test"), epochs=20, best=17)
    assert "not augmented" in plain
    assert "Training ran for 20 epochs, and the model has the weights after epoch 17" in plain
    for phrase in ("weight decay", "stray", "merged"):
        assert phrase not in plain
    assert "before its first epoch ended" in narrative.recipe(parse_config(PLAIN, "test"), epochs=0, best=0)
    special = {
        "data": {"validation": 0.0, "add": "/home/me/my-digits"},
        "model": {"init_from": "digits"},
        "augmentation": {"rotation": 10.0, "flip_vertical": True},
        "optimizer": {"name": "adamw", "weight_decay": 0.01, "schedule": "one-cycle", "ema": 0.99},
        "training": {"label_smoothing": 0.1, "loss": "one-hot", "epochs": 1},
    }
    for phrase in (
        "initialised from the included weights, was trained", "was trained on all training images.",
        "Images from my-digits were added", "rotated by up to ±10° and mirrored.", "one-cycle schedule",
        "weight decay 0.01", "label smoothing 0.1", "ran for 1 epoch, and the model has the weights after the last",
    ):  # fmt: skip
        assert phrase in narrative.recipe(parse_config(special, "test"), epochs=1, best=1)


def test_the_recipe_names_marks_with_and_without_other_distortions_and_what_was_folded() -> None:
    marked = parse_config({"augmentation": {"marks": 0.25}, "model": {"fold": True}}, "test")
    told = narrative.recipe(marked, epochs=2, best=1)
    assert "at random: ." not in told
    assert "stray lines, gaps or blots were drawn on 25 % of the images" in told
    assert "merged into the convolutions" in told
    turned = narrative.recipe(override(marked, {"augmentation.rotation": 9.0, "training.composed": 0.1}), 2, 1)
    assert "rotated by up to ±9°. In every epoch, stray lines" in turned
    assert "real digits with stray marks" in turned


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.2 s"), (58.4, "58 s"), (185, "3 min 5 s"), (4320, "1 h 12 min"), (3599.9, "1 h 0 min")],
)
def test_duration(seconds: float, text: str) -> None:
    from mnist_cnn.evaluation.templates import duration

    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("only_first", "only_second", "sentence"),
    [
        (0, 12, "b is more accurate than a (difference +12.00 percentage points"),
        (12, 0, "b is less accurate than a (difference -12.00 percentage points"),
        (6, 6, "b and a do not differ significantly (difference +0.00 percentage points"),
    ],
)
def test_paired(only_first: int, only_second: int, sentence: str) -> None:
    labels = np.zeros(100, dtype=np.int64)
    first, second = labels.copy(), labels.copy()
    second[:only_first] = 1
    first[50 : 50 + only_second] = 1
    assert sentence in narrative.paired("a", "b", metrics.paired_test(labels, first, second))
