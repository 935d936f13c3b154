"""Text in the pictures of `--explain`."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.reading.palette import RIGHT, WRONG
from mnist_cnn.reading.recognizer.explanation import Explained, draw, font, legible
from mnist_cnn.reading.recognizer.verdict import Reading


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("scans/2024 (1)_a-b.png", "scans/2024 (1)_a-b.png"),
        ("café", "caf?"),
        ("cafe\u0301", "caf?"),  # as macOS writes it
        ("é ü 数字", "? ? ??"),
        ("new\nline", "new?line"),
        ("…", "…"),
    ],
)
def test_signs_that_the_font_lacks_become_question_marks(text: str, shown: str) -> None:
    assert legible(text) == shown


def test_nothing_shown_is_an_empty_box() -> None:
    box = font(14).getmask("\uffff")
    for sign in legible("".join(map(chr, range(32, 0x2100)))):
        mask = font(14).getmask(sign)
        assert (mask.size, bytes(mask)) != (box.size, bytes(box))


@pytest.mark.parametrize(("has_ink", "has_bars"), [(True, True), (False, False)])
def test_classes_are_ranked_only_if_there_is_something_to_read(has_ink: bool, has_bars: bool) -> None:
    scores = np.array([0.9, 0.1], np.float32)
    reading = Reading(0, "0", 0.9, has_ink, scores, has_ink)
    sheet = np.asarray(draw([Explained.of("x", [("grey levels", np.full((28, 28), 200, np.uint8))], reading, "01")]))
    colour = np.array([int((RIGHT if has_ink else WRONG)[place : place + 2], 16) for place in (1, 3, 5)])
    in_colour = np.asarray((sheet == colour).all(axis=2))
    assert bool(in_colour.sum(axis=1).max() > 90) is has_bars  # a bar of 0.9 has 99 pixels
