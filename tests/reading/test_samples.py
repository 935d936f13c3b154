"""The sample pictures of the package."""

from __future__ import annotations

import pytest

from mnist_cnn.reading.ink.sources import SUFFIXES
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.reading.samples import LABELS, SAMPLES


@pytest.mark.parametrize("name", LABELS)
def test_the_included_weights_read_each_sample(name: str) -> None:
    reading = Recognizer.load().read(SAMPLES / name)
    assert (reading.digit if reading.accepted else None) == LABELS[name]


def test_each_picture_has_a_label_and_all_are_small() -> None:
    pictures = [path for path in SAMPLES.iterdir() if path.suffix in SUFFIXES]
    assert {path.name for path in pictures} == set(LABELS)
    assert sum(path.stat().st_size for path in pictures) < 150_000
