from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_cnn.composition.tracing import follow, smooth, thin, thinned, trace


def drawn(points: list[tuple[int, int]], thickness: int = 3) -> np.ndarray:
    picture = np.zeros((28, 28), np.uint8)
    cv2.polylines(picture, [np.array(points, np.int32)], False, 255, thickness, cv2.LINE_AA)
    return picture


def test_a_line_is_traced_from_end_to_end() -> None:
    strokes = trace(drawn([(14, 5), (14, 22)]))
    assert len(strokes) == 1
    points = strokes[0]
    assert points.dtype == np.float32
    assert np.ptp(points[:, 1]) == pytest.approx(1)
    assert np.ptp(points[:, 0]) < 0.1


def test_a_cross_keeps_its_four_arms() -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[13:16, 5:24] = picture[5:24, 13:16] = 255
    points = np.concatenate(trace(picture))
    for end in ((0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1)):
        assert np.hypot(*(points - end).T).min() < 0.12


def test_a_ring_stays_closed() -> None:
    picture = np.zeros((28, 28), np.uint8)
    cv2.circle(picture, (14, 14), 8, 255, 3, cv2.LINE_AA)
    stroke = max(trace(picture), key=len)
    assert np.hypot(*(stroke[0] - stroke[-1])) < 0.1


def test_without_ink_there_is_no_stroke() -> None:
    assert trace(np.zeros((28, 28), np.uint8)) == []


@given(seed=st.integers(0, 2**32))
def test_any_picture_is_traced_to_finite_strokes(seed: int) -> None:
    random = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(random.integers(0, 256, (28, 28)).astype(np.float32), (0, 0), random.uniform(0.5, 3))
    picture = ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)
    for stroke in trace(picture):
        assert stroke.ndim == 2
        assert len(stroke) >= 2
        assert np.isfinite(stroke).all()
        assert stroke.min() >= -0.5
        assert stroke[:, 1].max() <= 1.5


def test_thinning_leaves_connected_lines_one_pixel_wide_inside_the_ink() -> None:
    mask = (drawn([(5, 5), (20, 8), (8, 22)], 5) > 128).astype(np.uint8)
    lines = thin(mask)
    assert not (lines & ~mask).any()
    assert cv2.connectedComponents(lines)[0] == cv2.connectedComponents(mask)[0] == 2
    assert cv2.filter2D(lines, -1, np.ones((2, 2))).max() < 4


def test_every_pixel_of_a_line_is_followed() -> None:
    lines = thin((drawn([(4, 4), (24, 4), (4, 24), (24, 24)]) > 128).astype(np.uint8))
    followed = {tuple(point) for path in follow(lines) for point in path.astype(int).tolist()}
    y, x = np.nonzero(lines)
    assert len(followed & set(zip(x.tolist(), y.tolist(), strict=True))) >= 0.9 * len(x)


def test_smoothing_removes_steps_and_keeps_ends() -> None:
    steps = np.array([(i, i // 3) for i in range(30)], np.float32)
    smoothed = smooth(steps)
    np.testing.assert_allclose(smoothed[[0, -1]], steps[[0, -1]], atol=1e-5)
    assert np.abs(np.diff(smoothed[:, 1], 2)).max() < 0.5 * np.abs(np.diff(steps[:, 1], 2)).max()


@pytest.mark.parametrize("count", [2, 3, 4, 5, 20])
def test_thinned_lines_keep_both_ends(count: int) -> None:
    line = np.arange(2 * count, dtype=np.float32).reshape(-1, 2)
    kept = thinned(line)
    assert len(kept) >= 2
    np.testing.assert_array_equal(kept[[0, -1]], line[[0, -1]])


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_thinning_is_what_the_paper_says(seed: int) -> None:
    """Against the algorithm as it is written down (Zhang & Suen 1984), pixel by pixel."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((24, 24)), (0, 0), 2)
    mask = (noise > 0.05).astype(np.uint8)
    np.testing.assert_array_equal(thin(mask), thinned_slowly(mask))


def thinned_slowly(mask: np.ndarray) -> np.ndarray:
    image, before = np.pad(mask, 1).astype(int), None
    while before is None or (image != before).any():
        before = image.copy()
        for first in (True, False):
            places = [(y, x) for y, x in zip(*np.nonzero(image), strict=True) if redundant(image, y, x, first)]
            for place in places:
                image[place] = 0
    return image[1:-1, 1:-1]


def redundant(image: np.ndarray, y: int, x: int, first: bool) -> bool:
    around = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # clockwise from the north
    p = [image[y + dy, x + dx] for dy, dx in around]
    rises = sum(p[i] == 0 and p[(i + 1) % 8] == 1 for i in range(8))
    north, east, south, west = p[::2]
    sides = (north * east * south, east * south * west) if first else (north * east * west, north * south * west)
    return 2 <= sum(p) <= 6 and rises == 1 and not any(sides)
