"""Each corruption keeps the form of the images, is deterministic, does what the paper says, and can still be read."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.evaluation import corruptions
from mnist_cnn.evaluation.corruptions import CORRUPTIONS
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.reading.scaling import bundled_digits

Images = NDArray[np.uint8]


def corrupt(name: str, images: Images, seed: int = 0) -> Images:
    return CORRUPTIONS[name](images, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def square() -> Images:
    """One image with a white square of 10×10 pixels in the middle."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[:, 9:19, 9:19] = 255
    return image


def test_there_are_the_fifteen_of_the_paper() -> None:
    assert list(CORRUPTIONS) == [
        "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness",
        "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges",
    ]  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_form_and_input_are_kept_and_equal_seeds_give_equal_images(name: str, digits: Dataset) -> None:
    images = digits.images[:12].copy()
    found = corrupt(name, images)
    assert found.shape == images.shape
    assert found.dtype == np.uint8
    assert (images == digits.images[:12]).all()
    assert (found != images).any(axis=(1, 2)).all()
    assert (found == corrupt(name, images)).all()
    assert corrupt(name, images[:0]).shape == (0, 28, 28)


RANDOM = sorted(set(CORRUPTIONS) - {"scale", "brightness", "stripe", "canny_edges"})


@pytest.mark.parametrize("name", RANDOM)
def test_each_image_and_each_seed_has_its_own_draw(name: str, square: Images) -> None:
    found = corrupt(name, np.repeat(square, 20, axis=0))
    assert len(np.unique(found, axis=0)) > 1
    assert (found != corrupt(name, np.repeat(square, 20, axis=0), seed=1)).any()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_included_network_still_reads_most(name: str) -> None:
    known = bundled_digits()
    read = Recognizer.load(threads=1).predict(corrupt(name, known.images))
    assert (read == known.labels).mean() > {"canny_edges": 0.6}.get(name, 0.8)


def test_impulses_hit_a_sixth_of_the_pixels_equally_black_and_white() -> None:
    grey = np.full((200, 28, 28), 100, np.uint8)
    found = corrupt("impulse_noise", grey)
    assert [np.mean(found == level) for level in (0, 255)] == pytest.approx([0.085, 0.085], abs=0.005)


def test_shot_noise_counts_three_photons_of_white(square: Images) -> None:
    found = corrupt("shot_noise", np.repeat(square, 200, axis=0))
    assert set(np.unique(found)) == {0, 85, 170, 255}
    assert (found[:, square[0] == 0] == 0).all()
    assert np.mean(found[:, square[0] > 0] == 0) == pytest.approx(np.exp(-3), abs=0.01)


def test_shapes_are_scaled_turned_and_moved_about_the_centre(square: Images) -> None:
    assert corrupt("scale", square).sum() == pytest.approx(0.49 * square.sum(), rel=0.02)
    for name in ("scale", "rotate", "shear"):
        rows, columns = np.indices((28, 28))
        found = corrupt(name, square)[0]
        centre = [np.average(places, weights=found) for places in (rows, columns)]
        assert centre == pytest.approx([13.5, 13.5], abs=0.05)
    moved = corrupt("translate", np.repeat(square, 40, axis=0))
    corners = {tuple(np.argwhere(image)[0] - 9) for image in moved}
    assert corners == {(down, right) for down in (-3, 3) for right in (-3, 3)}


def test_brightness_and_stripes_are_exact(square: Images) -> None:
    assert set(np.unique(corrupt("brightness", square))) == {128, 255}
    striped = corrupt("stripe", square)
    assert (striped[:, :, 7:21] == square[:, :, 7:21]).all()
    assert (striped[:, :, [0, 6, 21, 27]] == 255).all()


def test_motion_blur_keeps_the_ink_and_smears_one_side(square: Images) -> None:
    found = corrupt("motion_blur", square)[0].astype(int)
    assert found.sum() == pytest.approx(square.sum(), rel=0.02)
    assert found[:, :9].sum() > 3 * found[:, 19:].sum()


def test_fog_leaves_a_quarter_of_the_contrast(square: Images) -> None:
    found = corrupt("fog", np.repeat(square, 50, axis=0)).astype(float)
    steps = found[:, 9:19, 9].mean(axis=1) - found[:, 9:19, 8].mean(axis=1)
    assert steps.mean() == pytest.approx(255 / 4, abs=3)


def test_mud_is_dark_grey_and_covers_a_part(square: Images) -> None:
    found = corrupt("spatter", np.repeat(square * 0, 50, axis=0))
    assert found.max() <= 63
    assert 0.02 < (found > 40).mean() < 0.4


def test_lines_cross_the_image_and_leave_its_rest(square: Images) -> None:
    for name, first, last in (("dotted_line", 2, 26), ("zigzag", 2, 25)):
        found = corrupt(name, np.repeat(square * 0, 100, axis=0))
        columns = np.flatnonzero(found.any(axis=(0, 1)))
        assert (columns[0], columns[-1]) == (first, last)
        assert 0.02 < (found > 127).mean() < 0.15


def test_edges_are_outlines_one_pixel_wide(square: Images) -> None:
    found = corrupt("canny_edges", square)[0]
    assert set(np.unique(found)) == {0, 255}
    assert not found[12:16, 12:16].any()
    assert 30 < np.count_nonzero(found) < 45


def test_lines_end_where_they_say() -> None:
    one = np.ones(1)
    (line,) = corruptions._lines(5 * one, 10 * one, 15 * one, 10 * one)  # noqa: SLF001
    assert np.flatnonzero(line.any(axis=0)).tolist() == list(range(5, 15))
    assert line[10, 7] == 1
    assert line[9, 7] == line[11, 7] == pytest.approx(1 + np.log(1 - 1 / 2.3))
