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
    with_a_flag = wide.copy()
    with_a_flag[6:11, 3:9] = 10
    soft = wide.copy()
    soft[:, 8] = 140
    narrow = np.full((20, 12), 250, np.uint8)
    narrow[:, 5:8] = 10
    narrow[4:7, 1:5] = 10
    shadow = np.full((28, 28), 250, np.uint8)
    shadow[:, 14:] = 140
    desk = np.full((28, 28), 250, np.uint8)
    desk[:, :8] = 20
    desk[8:20, 16:19] = 20
    for image in (bar, wide, with_a_flag, soft, narrow, shadow, desk):
        assert with_one_polarity(image) is image


def test_strokes_of_single_pixels_are_not_specks() -> None:
    digit = cv2.resize(reference("5"), (16, 16), interpolation=cv2.INTER_AREA)
    steps = np.zeros((16, 16), np.uint8)
    steps[np.arange(16), np.arange(16)] = steps[15, ::2] = steps[::3, 15] = 255
    for image in ((digit > 100) * np.uint8(255), steps, np.full((28, 28), 7, np.uint8)):
        assert without_specks(image) is image


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


@pytest.mark.parametrize("width", [16, 20, 40])
@pytest.mark.parametrize("pen", [4, 8])
def test_a_narrow_zero_or_eight_of_a_thin_pen_is_not_hollow(pen: int, width: int) -> None:
    zero, eight = np.zeros((2, 200, 200), np.uint8)
    cv2.ellipse(zero, (100, 100), (width + pen, 80), 10, 0, 360, (255,), pen, cv2.LINE_AA)
    for middle in (60, 140):
        cv2.ellipse(eight, (100, middle), (width + pen, 40), 0, 0, 360, (255,), pen, cv2.LINE_AA)
    for digit in (zero, eight):
        fine = magnify(digit[10:190, 100 - 2 * width - pen : 100 + 2 * width + pen])
        assert filled(fine) is fine


def test_a_blurred_image_is_prepared_even_if_it_has_mnists_size_and_place() -> None:
    image: Grey = reference("7")
    assert in_mnist_form(image)
    assert not in_mnist_form(cv2.GaussianBlur(image, (0, 0), 2.5))
