from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cnn.composition.hands import Hand, Stroke
from mnist_cnn.composition.hands.forms import Form, forms

seeds = st.integers(0, 2**32 - 1)
FORMS = [form for of_digit in forms() for form in of_digit]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def same(first: list[Stroke], second: list[Stroke]) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))


@settings(deadline=None, max_examples=40)
@given(seed=seeds, digit=st.integers(0, 9))
def test_a_digit_is_written_as_smooth_strokes_of_about_its_height(seed: int, digit: int) -> None:
    random = generator(seed)
    strokes = Hand.random(random).write(digit, random)
    for stroke in strokes:
        assert stroke.dtype == np.float32
        assert stroke.ndim == 2
        assert stroke.shape[1] == 2
        assert len(stroke) >= 2
        assert np.hypot(*np.diff(stroke, axis=0).T).max() < 0.25
    points = np.concatenate(strokes)
    assert points[:, 0].min() == pytest.approx(0)
    assert points[:, 0].max() < 2
    assert -0.7 < points[:, 1].min() < 0.75
    assert 0.7 < points[:, 1].max() < 1.7


def test_only_the_generator_decides() -> None:
    first, again = (Hand.random(generator(5)).write(8, generator(6)) for _ in range(2))
    other = Hand.random(generator(7)).write(8, generator(6))
    assert same(first, again)
    assert not same(first, other)


def test_a_hand_keeps_its_forms_and_never_repeats_a_digit_exactly() -> None:
    random = generator()
    hand = Hand.random(random)
    first, second = hand.write(4, random), hand.write(4, random)
    assert [len(stroke) for stroke in first] == [len(stroke) for stroke in second]
    assert not same(first, second)
    assert max(np.abs(a - b).max() for a, b in zip(first, second, strict=True)) < 0.3


def test_hands_use_every_form() -> None:
    random = generator()
    used = {Hand.random(random).letterform(digit).form for _ in range(500) for digit in range(10)}
    assert used == set(FORMS)


def test_every_digit_has_many_forms_with_names_of_their_own() -> None:
    assert all(len({form.name for form in of_digit}) == len(of_digit) >= 4 for of_digit in forms())
    assert len(FORMS) >= 70


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.digit}-{form.name}")
def test_curves_pass_through_the_control_points(form: Form) -> None:
    for matrix in (form.sharp, form.soft):
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-9)  # moves with its points
        line = matrix @ form.points
        gaps = np.abs(line[:, None] - form.points).sum(axis=2).min(axis=0)
        np.testing.assert_allclose(gaps, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("digit", "name", "holes"), [(0, "round", 1), (8, "circles", 2), (6, "big-loop", 1), (1, "flag", 0)]
)
def test_loops_stay_closed_when_the_writer_is_not_careless(digit: int, name: str, holes: int) -> None:
    random, right, found = generator(), 0, 0
    while found < 30:
        hand = Hand.random(random)
        if hand.letterform(digit).form.name == name:
            found += 1
            right += _holes(hand.write(digit, random)) == holes
    assert right >= 20


def _holes(strokes: list[Stroke]) -> int:
    canvas = np.full((260, 400), 255, np.uint8)
    for stroke in strokes:
        cv2.polylines(canvas, [np.round(stroke * 100 + 60).astype(np.int32)], False, 0, 12)
    return int(cv2.connectedComponents(canvas, connectivity=4)[0]) - 2
