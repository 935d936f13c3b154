from __future__ import annotations

import itertools

import numpy as np
import pytest

from mnist_cnn.composition.composer import ComposedLine
from mnist_cnn.training.numbers.line_batches import LineBatches, arrange_lines, by_width, column_boxes, vary
from mnist_cnn.training.numbers.line_plan import LinePlan
from mnist_cnn.training.numbers.portions import Portions, PortionSource, is_trainable
from training.numbers.composed import TINY_PLAN, compose, traces


def source(size: int = 4) -> PortionSource:
    return PortionSource(traces(), seed=0, size=size)


def same(first: list[ComposedLine], second: list[ComposedLine]) -> bool:
    return all(
        a.text == b.text and np.array_equal(a.image, b.image) and np.array_equal(a.boxes, b.boxes)
        for a, b in zip(first, second, strict=True)
    )


def test_a_portion_depends_only_on_its_seed_and_number() -> None:
    assert same(source().compose(3), source().compose(3))
    assert not same(source().compose(3), source().compose(4))
    assert not same(source().compose(3), PortionSource(traces(), 1, 4).compose(3))


@pytest.mark.slow
def test_other_processes_compose_the_same_portions() -> None:
    with Portions(source(), workers=2) as portions:
        assert all(same(portions.get(index), source().compose(index)) for index in (5, 6, 7))


def test_every_epoch_can_be_drawn_alone() -> None:
    batches = LineBatches(Portions(source(TINY_PLAN.portion), workers=0), TINY_PLAN)
    steps = TINY_PLAN.steps_per_epoch
    whole = list(itertools.islice(batches.stream(0), 5 * steps))
    alone = list(itertools.islice(batches.stream(4), steps))
    for (images, targets), (others, other_targets) in zip(whole[4 * steps :], alone, strict=True):
        np.testing.assert_array_equal(images, others)
        for name in targets:
            np.testing.assert_array_equal(targets[name], other_targets[name])


def test_an_epoch_is_what_a_portion_is_worth() -> None:
    assert LinePlan(steps=3200).steps_per_epoch == 32
    assert LinePlan(steps=3201).epochs == 101


def test_a_line_needs_a_column_for_each_digit_and_between_equal_ones() -> None:
    image, boxes = np.zeros((32, 16), np.uint8), np.zeros((0, 4), np.float32)
    assert is_trainable(ComposedLine(image, "1234", boxes))
    assert not is_trainable(ComposedLine(image, "1134", boxes))
    assert not is_trainable(ComposedLine(np.zeros((32, 257), np.uint8), "1", boxes))


def test_batches_of_similar_widths_hold_every_line() -> None:
    lines = [line for line in compose(30) if is_trainable(line)]
    batches = by_width(lines, 8)
    widths = [line.image.shape[1] for batch in batches for line in batch]
    assert widths == sorted(widths)
    assert len(widths) == len(lines)


def test_images_are_padded_with_paper_and_texts_with_zeros() -> None:
    line = ComposedLine(np.full((32, 50), 200, np.uint8), "07", np.array([[4, 2, 20, 30], [22, 2, 40, 30]], np.float32))
    images, targets = arrange_lines([line.image], [line])
    assert images.shape == (1, 32, 64, 1)
    assert images[0, :, :50].min() == images.max() == np.float32(200) / 255
    assert images[0, :, 50:].max() == np.float32(32) / 255
    assert targets["scores"].tolist() == [[1, 8, *[0] * 8]]
    assert targets["boxes"].shape == (1, 16, 5)


def test_a_column_answers_the_box_of_its_digit() -> None:
    boxes = np.array([[4, 2, 20, 30], [30, 0, 40, 32]], np.float32)
    targets = column_boxes(boxes, 12)
    assert targets[:, 0].tolist() == [0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0]
    place = 2 + 4 * np.arange(12)
    for column, box in ((1, boxes[0]), (9, boxes[1])):
        expected = (box - [place[column], 0, place[column], 0]) / 32
        np.testing.assert_allclose(targets[column, 1:], expected, atol=1e-6)
    assert not column_boxes(np.zeros((0, 4), np.float32), 12).any()


def test_a_line_varies_a_little_and_stays_in_range() -> None:
    image, random = compose(1)[0].image, np.random.default_rng(0)
    varied = [vary(image, random) for _ in range(20)]
    assert all(one.min() >= 0 and one.max() <= 255 for one in varied)
    assert all(np.abs(one - image).mean() < 20 for one in varied)
    assert len({one.tobytes() for one in varied}) == 20
