"""Images in JSON: what goes in comes out, whatever its form."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist_cnn.server.images import image_in, images_in, json_of
from mnist_cnn.server.problems import Problem

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=30)


@given(arrays.arrays(np.uint8, SHAPES))
def test_integer_pixels_stay_as_they_are(pixels: np.ndarray) -> None:
    found = image_in(json_of(json.dumps(pixels.tolist()).encode()))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)


@given(arrays.arrays(np.float64, SHAPES, elements=st.floats(0, 255)))
def test_float_pixels_stay_as_they_are(pixels: np.ndarray) -> None:
    found = image_in(json_of(json.dumps(pixels.tolist()).encode()))
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, pixels)


def test_one_list_of_784_is_28_rows() -> None:
    found = image_in(list(range(256)) * 3 + [0] * 16)
    assert isinstance(found, np.ndarray)
    assert found.shape == (28, 28)
    assert found[0, 5] == 5
    assert found[1, 0] == 28


@given(st.binary(min_size=1), st.sampled_from(["", "data:image/png;base64,", "data:;base64,"]))
def test_base64_gives_the_file(content: bytes, prefix: str) -> None:
    assert image_in(prefix + base64.b64encode(content).decode()) == content


@pytest.mark.parametrize(
    "text", ["a" + " " * 5_000_000 + "a", "\n " * 2_500_000, "-" * 5_000_000, "data:;" * 900_000 + ","]
)
def test_no_text_takes_long_to_be_refused(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Problem):
        image_in(text + "!")
    assert time.process_time() - began < 1


def test_the_place_of_a_bad_image_is_told() -> None:
    with pytest.raises(Problem, match=r"images\[2\] is null"):
        images_in({"images": ["aGk=", "aGk=", None]}, most=3)


def test_a_bad_text_is_not_repeated() -> None:
    with pytest.raises(Problem) as caught:
        image_in("secret!")
    assert "secret" not in caught.value.detail


def test_long_texts_among_pixels_take_no_memory() -> None:
    """NumPy would make every element as wide as the longest."""
    rows = [["a" * 100_000, *[0] * 1000]]
    tracemalloc.start()
    with pytest.raises(Problem, match="no number"):
        image_in(rows)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
