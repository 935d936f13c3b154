"""Defects of small images are repaired, and images without them are returned as they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnist_cnn.reading.ink import in_mnist_form, prepare, stages
from mnist_cnn.reading.ink.form import magnify, whole_strokes, without_holes
from mnist_cnn.reading.ink.outlines import filled
from mnist_cnn.reading.ink.polarity import with_one_polarity
from mnist_cnn.reading.ink.specks import without_specks
from reading.ink.drawings import STROKES, Grey, drawn
from reading.ink.test_preparation import likeness, reference

REPAIRS = with_one_polarity, without_specks, without_holes


@pytest.mark.parametrize("digit", STROKES)
def test_a_sound_image_is_left_alone(digit: str) -> None:
    image = reference(digit)
    for repair in REPAIRS:
        for same in (image, 255 - image, (255 * drawn(digit, 100, 3)).astype(np.uint8)):
            assert repair(same) is same


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("is_level", [False, True])
def test_bands_of_inverted_polarity_are_undone(digit: str, is_level: bool) -> None:
    image = reference(digit)
    banded = image.T.copy() if is_level else image.copy()
    for side in (slice(7), slice(21, None)):
        banded[:, side] = 255 - banded[:, side]
    banded = np.ascontiguousarray(banded.T) if is_level else banded
    np.testing.assert_array_equal(prepare(banded).image, image)
    assert dict(stages(banded)).keys() >= {"one polarity"}


def test_a_stroke_from_side_to_side_is_not_a_band() -> None:
    bar = np.full((28, 28), 250, np.uint8)
    bar[:, 12:16] = 10
    wide = np.full((28, 28), 250, np.uint8)
    wide[:, 9:19] = 10
    shadow = np.full((28, 28), 250, np.uint8)
    shadow[:, 14:] = 140
    for image in (bar, wide, shadow):
        assert with_one_polarity(image) is image


@pytest.mark.parametrize("digit", STROKES)
def test_salt_and_pepper_are_removed(digit: str) -> None:
    image = reference(digit)
    random = np.random.default_rng(3)
    noisy = np.where(random.random(image.shape) < 0.17, random.choice([0, 255], image.shape), image).astype(np.uint8)
    for same in (noisy, 255 - noisy):
        assert likeness(prepare(same).image, image) > 0.7
        assert likeness(without_specks(noisy), image) > likeness(noisy, image) + 0.1


@pytest.mark.parametrize("digit", STROKES)
def test_holes_are_closed(digit: str) -> None:
    image = reference(digit)
    random = np.random.default_rng(3)
    perforated = np.where(random.random(image.shape) < 0.35, 0, image).astype(np.uint8)
    assert not in_mnist_form(perforated)
    assert likeness(prepare(perforated).image, image) > likeness(perforated, image)
    assert whole_strokes(magnify(perforated)).mean() > magnify(perforated).mean()


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("size", [28, 280])
def test_hollow_digits_are_filled(digit: str, size: int) -> None:
    image = reference(digit)
    large = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
    hollow = cv2.Canny(cv2.GaussianBlur(large, (0, 0), size / 28), 25, 50, L2gradient=True)
    if size > 28:
        hollow = cv2.dilate(hollow, np.ones((7, 7), np.uint8))
    assert not in_mnist_form(hollow)
    assert likeness(prepare(hollow).image, image) > 0.65


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("pen", [4, 12, 30, 50])
def test_a_digit_of_pen_strokes_is_not_hollow(digit: str, pen: int) -> None:
    fine = magnify((255 * drawn(digit, 280, pen)).astype(np.uint8))
    assert filled(fine) is fine


def test_a_blurred_image_is_prepared_even_if_it_has_mnists_size_and_place() -> None:
    image: Grey = reference("7")
    assert in_mnist_form(image)
    assert not in_mnist_form(cv2.GaussianBlur(image, (0, 0), 2.5))
