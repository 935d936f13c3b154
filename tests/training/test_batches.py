from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from late import Late
from mnist_cnn.config import AugmentationConfig
from training.tiny import digits, tiny_config

stream, loss = Late("mnist_cnn.training.batches"), Late("mnist_cnn.training.loss")

PLAIN = AugmentationConfig()
ROTATED = AugmentationConfig(rotation=20)


def numbered(count: int, size: int, seed: int = 0, augmentation: AugmentationConfig = PLAIN) -> Any:
    """Batches whose images say which they are: image i is filled with i, and so is its target."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None], (count, 28, 28))
    return stream.Batches(images, np.arange(count), size, augmentation, seed)


def order(batches: Any, epoch: int) -> list[int]:
    return [int(target) for _, targets in batches.epoch(epoch) for target in targets]


@given(count=st.integers(1, 200), size=st.integers(1, 70), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_holds_every_image_exactly_once(count: int, size: int, seed: int, epoch: int) -> None:
    batches = numbered(count, size, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnist_cnn.training.batches._AHEAD", 50)  # so that an epoch has several portions
        found = list(batches.epoch(epoch))
    assert len(found) == batches.steps
    assert [len(images) for images, _ in found[:-1]] == [size] * (batches.steps - 1)
    assert 1 <= len(found[-1][0]) <= size
    for images, targets in found:
        assert images.shape == (len(targets), 28, 28, 1)
        np.testing.assert_array_equal(images[:, 0, 0, 0], targets)
    assert sorted(int(target) for _, targets in found for target in targets) == list(range(count))


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    assert order(numbered(100, 7, seed=1), 3) == order(numbered(100, 20, seed=1), 3)
    orders = [order(numbered(100, 7, seed), epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(each) for each in orders}) == 4
    assert list(range(100)) not in orders


def test_distortions_differ_between_epochs_and_repeat_with_them() -> None:
    batches = stream.Batches(digits().images[:20], digits().labels[:20], 20, ROTATED, seed=1)
    (first, again, other) = (next(batches.epoch(epoch))[0] for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len({image.tobytes() for image in np.concatenate([first, other])}) == 40


def test_a_stream_started_later_is_the_tail_of_the_whole_one() -> None:
    first = 3
    batches = stream.Batches(digits().images[:25], digits().labels[:25], 10, ROTATED, seed=4)
    whole = list(itertools.islice(batches.stream(0), 5 * batches.steps))
    tail = list(itertools.islice(batches.stream(first), (5 - first) * batches.steps))
    for (images, targets), (later_images, later_targets) in zip(whole[first * batches.steps :], tail, strict=True):
        np.testing.assert_array_equal(images, later_images)
        np.testing.assert_array_equal(targets, later_targets)


@pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow", reason="other backends have no tf.data"
)
@pytest.mark.parametrize("form", ["sparse", "one-hot"])
@pytest.mark.parametrize("size", [10, 8])
def test_tensorflow_is_fed_the_same_stream(form: Any, size: int) -> None:
    targets = loss.encode_labels(digits().labels[:20], 10, form)
    batches = stream.Batches(digits().images[:20], targets, size, ROTATED, seed=4)
    feed = batches.feed(2)
    assert feed.element_spec[0].shape[0] == (10 if size == 10 else None), "equal batches have a static size"
    for (images, labels), (fed_images, fed_labels) in zip(
        itertools.islice(batches.stream(2), 5), feed.take(5).as_numpy_iterator(), strict=True
    ):
        np.testing.assert_array_equal(fed_images, images)
        np.testing.assert_array_equal(fed_labels, labels)
        assert fed_labels.dtype == targets.dtype


def test_both_forms_of_the_label_mean_the_same() -> None:
    labels = digits().labels[:50]
    assert loss.encode_labels(labels, 10, "sparse") is labels
    rows = loss.encode_labels(labels, 10, "one-hot")
    assert (rows.shape, rows.dtype) == ((50, 10), np.dtype(np.float32))
    np.testing.assert_array_equal(rows.argmax(axis=1), labels)
    np.testing.assert_array_equal(rows.sum(axis=1), 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_in_nats(smoothing: float) -> None:
    random = np.random.default_rng(0)
    probabilities: NDArray[np.float64] = random.dirichlet(np.ones(10), 30)
    labels = random.integers(0, 10, 30)
    for form in ("sparse", "one-hot") if not smoothing else ("one-hot",):
        measure = loss.build_loss(tiny_config({"training.loss": form, "training.label_smoothing": smoothing}))
        wanted = (1 - smoothing) * np.eye(10)[labels] + smoothing / 10
        expected = -(wanted * np.log(probabilities)).sum(axis=1).mean()
        found = float(measure(loss.encode_labels(labels, 10, form), probabilities.astype(np.float32)))
        assert found == pytest.approx(expected, rel=1e-4)
