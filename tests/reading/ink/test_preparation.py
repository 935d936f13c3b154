from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.reading.ink import in_mnist_form, prepare, stages
from mnist_cnn.reading.ink.form import stroke_width
from reading.ink.drawings import BLANKS, SCENES, STROKES, Grey, drawn, grey, placed, ruled_through


def reference(digit: str) -> Grey:
    """Prepare a clean drawing with a pen as wide as MNIST's, relative to its size."""
    return prepare(grey(255 * placed(drawn(digit, 280, 30), 392, 392))).image


def likeness(image: Grey, other: Grey) -> float:
    """Return the correlation at the best of nine positions: the rounded centre may differ by one pixel."""
    padded = np.pad(image, 1).astype(np.float32)
    return float(cv2.matchTemplate(padded, other.astype(np.float32), cv2.TM_CCOEFF_NORMED).max())


def cropped(ink: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def assert_mnist_form(image: Grey) -> None:
    assert (image.shape, image.dtype.name) == ((28, 28), "uint8")
    _, _, width, height = cv2.boundingRect(image)
    assert 19 <= max(width, height) <= 20
    moments = cv2.moments(image)
    # Ink whose mass is far from its middle would leave the field; it stays inside instead.
    assert abs(moments["m10"] / moments["m00"] - 14) <= 0.6
    assert abs(moments["m01"] / moments["m00"] - 14) <= 0.6
    assert image.max() > 240


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_looks_like_a_clean_drawing(scene: str, digit: str) -> None:
    prepared = prepare(SCENES[scene](drawn(digit, 280, 30)))
    assert (prepared.has_ink, prepared.is_single) == (True, True)
    assert_mnist_form(prepared.image)
    assert likeness(prepared.image, reference(digit)) > 0.9


@pytest.mark.parametrize("pen", [2, 5, 12, 30, 60])
def test_strokes_of_any_pen_become_as_wide_as_in_mnist(pen: int) -> None:
    image = prepare(grey(255 - 255 * placed(drawn("2", 280, pen), 480, 480))).image
    enlarged = cv2.resize(image, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    assert 1.6 < stroke_width((enlarged > 127).astype(np.uint8)) / 8 < 4.4
    assert likeness(image, reference("2")) > 0.75


@pytest.mark.parametrize("side", [20, 28, 64, 300, 2000])
def test_every_size_looks_the_same(side: int) -> None:
    for inverted in (False, True):
        ink = placed(drawn("7", round(side * 0.7), side * 0.07), side, side)
        image = prepare(grey(255 * (ink if inverted else 1 - ink))).image
        assert_mnist_form(image)
        assert likeness(image, reference("7")) > 0.85


@pytest.mark.parametrize("name", BLANKS)
def test_nothing_is_found_on_blank_paper(name: str) -> None:
    prepared = prepare(BLANKS[name])
    assert not prepared.has_ink
    assert prepared.image.shape == (28, 28)
    assert not prepared.image.any()


def test_a_detached_bar_stays_and_a_neighbour_at_the_border_goes() -> None:
    sheet = placed(drawn("5", 280, 25), 400, 400)
    sheet[150:380, :14] = 1
    sheet[:300, 390:] = 1
    assert likeness(prepare(grey(230 - 200 * sheet)).image, reference("5")) > 0.9


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("share", [0.13, 0.22])
@pytest.mark.parametrize("side", [24, 300])
def test_a_tight_crop_loses_nothing(side: int, share: float, digit: str) -> None:
    ink = drawn(digit, side, share * side)
    tight = cropped(ink)
    roomy = prepare(grey(255 * placed(ink, 2 * side, 2 * side))).image
    for image in (grey(240 - 200 * tight), grey(255 * tight)):
        assert likeness(prepare(image).image, roomy) > 0.9


@pytest.mark.parametrize("times", [1, 4])
def test_a_zero_of_two_arcs_that_fills_its_image_is_found(times: int) -> None:
    picture = np.full((16, 16), 255, np.uint8)
    cv2.ellipse(picture, (7, 7), (7, 7), 0, 0, 360, (0,), 2)
    picture[6:9, :3] = picture[6:9, -3:] = 255  # no part reaches all four sides
    for same in (picture, 255 - picture):
        found = prepare(np.kron(same, np.ones((times, times), np.uint8)))
        assert found.has_ink
        _, _, width, height = cv2.boundingRect(found.image)
        assert 18 <= min(width, height) <= max(width, height) <= 20


@pytest.mark.parametrize("width", [5, 20])
def test_a_tight_crop_of_a_one_is_not_blank(width: int) -> None:
    line = cv2.line(
        np.zeros((4 * width, width), np.uint8), (width // 3, 0), (width - width // 3, 4 * width), 1, width // 2
    )
    for image in (grey(255 * line), grey(255 - 255 * line)):
        tall = prepare(image).image
        assert cv2.boundingRect(tall)[3] >= 19
        assert cv2.boundingRect(tall)[2] <= 12


@pytest.mark.parametrize("side", [180, 280])
@pytest.mark.parametrize("gap", [15, 200])
def test_two_digits_are_not_single(gap: int, side: int) -> None:
    first = cropped(drawn("2", 280, 28))
    for digit in STROKES:
        second = cropped(drawn(digit, side, side / 10))
        sheet = placed(first, 280, first.shape[1] + gap + second.shape[1], 0.5, 0)
        sheet += placed(second, 280, sheet.shape[1], 0.5, 1)
        prepared = prepare(grey(240 - 220 * np.pad(sheet, 60)))
        assert prepared.has_ink
        assert not prepared.is_single


@pytest.mark.parametrize("pen", [9, 20])
@pytest.mark.parametrize(("digit", "share"), [("4", 0.55), ("7", 0.1), ("2", 0.9)])
def test_a_bar_on_a_ruled_line_stays(digit: str, share: float, pen: int) -> None:
    ink = drawn(digit, 280, pen)
    clean = prepare(grey(240 - 220 * placed(ink, 480, 480))).image
    for shift in (-0.02, 0, 0.02):
        assert likeness(prepare(ruled_through(ink, share + shift)).image, clean) > 0.9


@pytest.mark.parametrize("size", [40, 80, 120])
def test_a_solid_shape_stays_solid(size: int) -> None:
    sheet = np.full((320, 320), 235, np.uint8)
    sheet[100 : 100 + size, 100 : 100 + size] = 20
    image = prepare(sheet).image
    assert image[9:19, 9:19].min() > 200


@pytest.mark.parametrize("digit", STROKES)
def test_mnists_own_form_and_its_negative_keep_their_pixels(digit: str) -> None:
    image = reference(digit)
    assert in_mnist_form(image)
    for same in (image, 255 - image, image / 255, Image.fromarray(image), image[:, :, None]):
        np.testing.assert_array_equal(prepare(same).image, image)


@pytest.mark.parametrize("shift", [(-3, 0), (0, 3), (3, -3)])
def test_an_image_off_centre_is_centred(shift: tuple[int, int]) -> None:
    image = reference("4")
    moved = np.roll(image, shift, (0, 1))
    assert not in_mnist_form(moved)
    for given_ in (moved, 255 - moved, moved // 4 + 9):
        assert likeness(prepare(given_).image, image) > 0.95


def test_the_bundled_digits_keep_their_shape() -> None:
    images = load_dataset("digits", split="test").images[:40]
    scores = []
    for image in images:
        prepared = prepare(255 - cv2.resize(image, (280, 280), interpolation=cv2.INTER_CUBIC)).image
        assert_mnist_form(prepared)
        scores.append(likeness(prepared, prepare(image).image))
    assert np.median(scores) > 0.9


def test_the_stages_end_with_the_prepared_image() -> None:
    for picture in (SCENES["gradient"](drawn("5", 280, 30)), BLANKS["noise"], reference("2")):
        steps = stages(picture)
        assert len(steps) == len({name for name, _ in steps})
        assert all(image.dtype == np.uint8 and image.ndim == 2 for _, image in steps)
        np.testing.assert_array_equal(steps[-1][1], prepare(picture).image)


@settings(max_examples=60)
@given(
    picture=st.one_of(
        hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))),
        hnp.arrays(np.uint8, st.tuples(st.integers(1, 400), st.integers(1, 5)), fill=st.just(255)),
        hnp.arrays(np.uint8, (130, 130), fill=st.sampled_from([0, 128, 255])),
    )
)
def test_any_picture_becomes_28_by_28(picture: Grey) -> None:
    prepared = prepare(picture)
    assert (prepared.image.shape, prepared.image.dtype.name) == ((28, 28), "uint8")
    assert prepared.has_ink == prepared.image.any()
    assert prepare(picture).image.tobytes() == prepared.image.tobytes()


@pytest.mark.mnist
def test_mnists_images_and_their_negatives_keep_their_pixels(mnist_dir: Path) -> None:
    images = read_idx(mnist_dir / "train-images-idx3-ubyte.gz")[-2000:]
    assert all((prepare(image).image == image).all() for image in images)
    assert all((prepare(255 - image).image == image).all() for image in images[:200])
