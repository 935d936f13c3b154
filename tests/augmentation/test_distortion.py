from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mnist_cnn.augmentation.distortion import augment, sampling_map
from mnist_cnn.config import AugmentationConfig
from mnist_cnn.datasets import load_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRONG = AugmentationConfig(rotation=30, shift=0.2, zoom=0.3, shear=20, elastic=2.0, flip_horizontal=True)
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
CENTRE = 13.5
MANY = 1066  # more images than OpenCV can address in one call


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return load_dataset("digits").images[:200]


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def affine(config: AugmentationConfig, count: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit each image's sampling map: linear parts [n, 2, 2] from output to input offsets, and translations [n, 2]."""
    places = sampling_map(count, config, generator()).reshape(2, count, -1).astype(float)
    y, x = np.mgrid[:28, :28].reshape(2, -1) - CENTRE
    basis = np.stack([x, y, np.ones_like(x)], axis=1)  # (784, 3)
    fits = [np.linalg.lstsq(basis, places[:, i].T - CENTRE, rcond=None)[0].T for i in range(count)]  # (2, 3) each
    fitted = np.stack(fits)
    np.testing.assert_allclose(
        fitted @ basis.T, places.transpose(1, 0, 2) - CENTRE, atol=1e-3, err_msg="the map must be affine"
    )
    return fitted[:, :, :2], fitted[:, :, 2]


def correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    return float(((first - first.mean()) * (second - second.mean())).mean() / (first.std() * second.std()))


def spread_evenly(values: NDArray[Any], low: float, high: float) -> None:
    """Check that values are uniform between the limits: inside, close to both ends, and of the right variance."""
    margin = 0.02 * (high - low)
    assert low - 1e-4 <= values.min() <= low + margin
    assert high - margin <= values.max() <= high + 1e-4
    assert values.mean() == pytest.approx((low + high) / 2, abs=3 * margin)
    assert values.std() == pytest.approx((high - low) / np.sqrt(12), rel=0.1)


def test_resampling_agrees_with_scipy_image_by_image(digits: NDArray[np.uint8]) -> None:
    from scipy.ndimage import map_coordinates

    noise = generator().integers(0, 256, (50, 28, 28), dtype=np.uint8)
    for images, mean_error in ((digits, 0.4), (noise, 1.5)):
        fast = augment(images, STRONG, generator(7)).astype(float)
        x, y = sampling_map(len(images), STRONG, generator(7)).astype(float)
        slow = np.stack(
            [
                map_coordinates(image.astype(float), [y[i], x[i]], order=1, mode="grid-constant", cval=0)
                for i, image in enumerate(images)
            ]
        )
        # OpenCV rounds places to 1/32 pixel: off by 1/64 at most along each axis, where neighbours differ by 255.
        assert np.abs(fast - slow).max() <= 2 * 255 / 64 + 1
        assert np.abs(fast - slow).mean() < mean_error


def test_nothing_is_distorted_by_default(digits: NDArray[np.uint8]) -> None:
    assert augment(digits, AugmentationConfig(), generator()) is digits
    places = sampling_map(3, AugmentationConfig(), generator())
    y, x = np.mgrid[:28, :28]
    np.testing.assert_array_equal(places, np.broadcast_to(np.stack([x, y])[:, None], places.shape))


def test_rotation_turns_about_the_centre_either_way_within_its_limit() -> None:
    linear, translation = affine(AugmentationConfig(rotation=20))
    np.testing.assert_allclose(translation, 0, atol=1e-4)
    np.testing.assert_allclose(linear @ linear.transpose(0, 2, 1), np.broadcast_to(np.eye(2), linear.shape), atol=1e-4)
    assert np.all(np.linalg.det(linear) > 0)
    spread_evenly(np.rad2deg(np.arctan2(linear[:, 0, 1], linear[:, 0, 0])), -20, 20)


def test_shift_and_zoom_affect_both_axes_independently() -> None:
    linear, shifts = affine(AugmentationConfig(shift=0.25))
    np.testing.assert_allclose(linear, np.broadcast_to(np.eye(2), linear.shape), atol=1e-4)
    zoomed, translation = affine(AugmentationConfig(zoom=0.3))
    np.testing.assert_allclose(translation, 0, atol=1e-4)
    np.testing.assert_allclose(zoomed[:, [0, 1], [1, 0]], 0, atol=1e-4)
    sizes = 1 / zoomed[:, [0, 1], [0, 1]]  # how much larger the digit becomes
    for axis in (0, 1):
        spread_evenly(shifts[:, axis], -0.25 * 28, 0.25 * 28)
        spread_evenly(sizes[:, axis], 0.7, 1.3)
    assert max(abs(correlation(*shifts.T)), abs(correlation(*sizes.T))) < 0.2


def test_shear_slants_and_keeps_rows() -> None:
    linear, translation = affine(AugmentationConfig(shear=15))
    np.testing.assert_allclose(translation, 0, atol=1e-4)
    np.testing.assert_allclose(linear[:, [0, 1], [0, 1]], 1, atol=1e-4)
    np.testing.assert_allclose(linear[:, 1, 0], 0, atol=1e-4)
    spread_evenly(np.rad2deg(np.arctan(linear[:, 0, 1])), -15, 15)


@pytest.mark.parametrize(("setting", "axis"), [("flip_horizontal", 2), ("flip_vertical", 1)])
def test_flips_mirror_about_half_of_the_images(digits: NDArray[np.uint8], setting: str, axis: int) -> None:
    result = augment(digits, AugmentationConfig(**{setting: True}), generator())
    mirrored = np.flip(digits, axis)
    is_mirrored = (result == mirrored).all(axis=(1, 2))
    is_same = (result == digits).all(axis=(1, 2))
    assert np.all(is_mirrored | is_same)
    assert 70 < is_mirrored.sum() < 130


@pytest.mark.parametrize(("elastic", "smoothness"), [(0.5, 2.0), (1.0, 8.0)])
def test_the_elastic_field_has_the_requested_strength_and_smoothness(elastic: float, smoothness: float) -> None:
    config = AugmentationConfig(elastic=elastic, elastic_smoothness=smoothness)
    field = sampling_map(2000, config, generator()) - sampling_map(1, AugmentationConfig(), generator())
    for axis in (0, 1):
        by_pixel = np.sqrt((field[axis] ** 2).mean(axis=0))  # at the edges as strong as in the middle
        np.testing.assert_allclose(by_pixel, elastic, rtol=0.12)
        assert np.sqrt((field[axis] ** 2).mean()) == pytest.approx(elastic, rel=0.04)
    assert abs(field.mean()) < 0.05 * elastic
    assert abs((field[0] * field[1]).mean()) < 0.05 * elastic**2, "x and y must be independent"
    # White noise smoothed by a Gaussian is correlated by exp(-(distance / 2σ)²); measured away from the edges.
    for distance in (1, 3):
        for left, right in (
            (field[:, :, 10:16, 10], field[:, :, 10:16, 10 + distance]),
            (field[:, :, 10, 10:16], field[:, :, 10 + distance, 10:16]),
        ):
            found = (left * right).mean() / elastic**2
            assert found == pytest.approx(np.exp(-((distance / (2 * smoothness)) ** 2)), abs=0.06)


def test_strokes_become_wider_or_narrower_as_by_scipy_image_by_image(digits: NDArray[np.uint8]) -> None:
    from scipy.ndimage import grey_dilation, grey_erosion

    noise = generator().integers(0, 256, (50, 28, 28), dtype=np.uint8)
    config = AugmentationConfig(stroke=0.8)
    for images in (digits, noise):
        random = generator(7)
        sampling_map(len(images), config, random)
        widths = random.uniform(-0.8, 0.8, len(images))
        for image, width, found in zip(images, widths, augment(images, config, generator(7)), strict=True):
            padded = np.pad(image, 1).astype(float)
            other = (grey_dilation if width > 0 else grey_erosion)(padded, footprint=CROSS, mode="nearest")
            expected = (padded * (1 - abs(width)) + other * abs(width))[1:-1, 1:-1]
            np.testing.assert_allclose(found, expected, atol=0.51)


def test_the_background_outside_an_image_stays_empty() -> None:
    config = AugmentationConfig(shift=0.5, stroke=0.9)
    images = np.full((100, 28, 28), 255, np.uint8)
    x, y = sampling_map(len(images), config, generator(3))
    is_outside = (x < -1) | (x > 28) | (y < -1) | (y > 28)
    assert is_outside.any(axis=(1, 2)).all()
    assert not augment(images, config, generator(3))[is_outside].any()


def test_no_image_sees_its_neighbours(digits: NDArray[np.uint8]) -> None:
    strong = AugmentationConfig(rotation=45, shift=0.9, zoom=0.9, shear=60, elastic=5.0, stroke=0.9)
    between = np.full((len(digits), 28, 28), 255, np.uint8)
    between[::2] = digits[::2]
    alone = np.zeros_like(between)
    alone[::2] = digits[::2]
    np.testing.assert_array_equal(augment(between, strong, generator())[::2], augment(alone, strong, generator())[::2])
    assert not augment(alone, strong, generator())[1::2].any(), "an empty image stays empty"


@pytest.mark.parametrize("count", [1, MANY, 2 * MANY + 5])
def test_any_number_of_images_is_distorted(digits: NDArray[np.uint8], count: int) -> None:
    images = np.resize(digits, (count, 28, 28))
    flipped = augment(images, AugmentationConfig(flip_horizontal=True), generator())
    assert flipped.shape == images.shape
    is_mirrored = (flipped == images[:, :, ::-1]).all(axis=(1, 2))
    assert np.all(is_mirrored | (flipped == images).all(axis=(1, 2)))
    assert count == 1 or 0.4 < is_mirrored[-count // 3 :].mean() < 0.6


def test_only_the_generator_decides(digits: NDArray[np.uint8]) -> None:
    before = digits.copy()
    first, again, other = (augment(digits, STRONG, generator(seed)) for seed in (3, 3, 4))
    assert len({copy.tobytes() for copy in augment(np.repeat(digits[:1], 50, axis=0), STRONG, generator())}) == 50
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(digits, before, err_msg="the input must stay as it was")


def test_the_contact_sheet_shows_every_class_and_names_what_distorts() -> None:
    from matplotlib.text import Text

    from mnist_cnn.evaluation.figures.contact_sheet import COPIES, draw_contact_sheet

    config = AugmentationConfig(rotation=12, flip_vertical=True)
    figure = draw_contact_sheet(load_dataset("digits"), config, seed=0)
    words = " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
    assert "rotation 12" in words
    assert "flip vertical" in words
    assert "elastic" not in words
    assert "shift" not in words
    pixels = sum(np.asarray(picture.get_array()).size for axes in figure.axes for picture in axes.get_images())
    assert pixels >= 10 * (COPIES + 1) * 28 * 28
