"""Readings as records."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.reading.reading_records import digit_record
from mnist_cnn.reading.recognizer import Reading


@pytest.mark.parametrize(("label", "digit"), [("2", 2), ("07", "07"), ("seven", "seven"), ("٣", "٣")])
def test_a_class_that_is_a_digit_is_a_number_whatever_its_index(label: str, digit: int | str) -> None:
    reading = Reading(1, label, 0.9, True, np.full(3, 1 / 3, np.float32), True)
    assert digit_record(reading)["digit"] == digit
