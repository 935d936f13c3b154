"""Numbers pasted together from pictures of digits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.composition.pasting import paste


@given(st.text("0123456789", min_size=1, max_size=10), st.integers(0, 2**32 - 1))
def test_each_digit_lies_in_its_box_from_left_to_right(text: str, seed: int) -> None:
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 8:18] = 255
    line = paste([digit] * len(text), text, np.random.default_rng(seed))
    assert line.text == text
    assert len(line.boxes) == len(text)
    assert (np.diff(line.boxes[:, 0]) > 0).all()
    height, width = line.coverage.shape
    assert (line.boxes[:, 2:] <= (width, height)).all()
    for left, top, right, bottom in line.boxes.astype(int):
        inside = line.coverage[top:bottom, left:right]
        assert inside[inside.shape[0] // 2, inside.shape[1] // 2] > 0.9
