"""Pictures of several digits, in which no single one is found."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.reading.ink import prepare
from mnist_cnn.reading.recognizer import Reason, Recognizer

SAMPLE = Path(__file__).parents[3] / "docs" / "pictures" / "numbers" / "amount.jpg"


def number(text: str, *, light: bool = False) -> NDArray[np.uint8]:
    paper = np.full((120, 60 * len(text) + 60), 250, np.uint8)
    cv2.putText(paper, text, (30, 95), cv2.FONT_HERSHEY_SIMPLEX, 2.6, 20, 8, cv2.LINE_AA)
    return 255 - paper if light else paper


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.mark.parametrize("text", ["12", "750", "7501", "75014", "7501475014"])
@pytest.mark.parametrize("light", [False, True])
def test_numbers_of_any_length_are_several(text: str, light: bool, recognizer: Recognizer) -> None:
    assert recognizer.read(number(text, light=light)).reason == Reason.SEVERAL


def test_a_handwritten_number_is_several(recognizer: Recognizer) -> None:
    assert recognizer.read(SAMPLE).reason == Reason.SEVERAL


@pytest.mark.parametrize("seed", range(5))
def test_bare_and_speckled_paper_is_blank(seed: int, recognizer: Recognizer) -> None:
    random = np.random.default_rng(seed)
    paper = np.full((200, 300), 250, np.uint8)
    assert recognizer.read(paper).reason == Reason.BLANK
    noisy = np.clip(random.normal(220, 6, paper.shape), 0, 255).astype(np.uint8)
    assert prepare(noisy).is_single
