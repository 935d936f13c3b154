"""Text in the pictures of `--explain`."""

from __future__ import annotations

import pytest

from mnist_cnn.reading.recognizer.explanation import font, legible


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
