"""The report on whole numbers: what it contains, and that an earlier one leaves nothing behind."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_cnn.datasets.number_folder import LabelledNumber
from mnist_cnn.errors import DataError, ImageError
from mnist_cnn.evaluation.number_report import write_number_report
from mnist_cnn.evaluation.number_results import NumberOutcome, NumberResults
from mnist_cnn.reading.numbers import NumberReading, NumberReason


@pytest.fixture
def measured(tmp_path: Path) -> NumberResults:
    """One picture read right, one wrong, one without a number, and one that cannot be read."""
    folder = tmp_path / "codes <b>"
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 256, (30, 90), np.uint8)
    texts = {"right.png": "0712", "wrong.png": "84", "empty.png": "", "broken.png": "5"}
    for name in texts:
        Image.fromarray(image).save(folder / name)
    read: list[NumberReading | DataError] = [
        NumberReading("0712", 0.97, (), ""),
        NumberReading("94", 0.91, (), ""),
        NumberReading("1", 0.2, (), NumberReason.UNCERTAIN),
        ImageError("broken.png is truncated"),
    ]
    outcomes = (
        NumberOutcome(LabelledNumber(name, folder / name, text), result)
        for (name, text), result in zip(texts.items(), read, strict=True)
    )
    return NumberResults("numbers", str(folder), 0.5, tuple(outcomes))


def test_the_report_shows_all_that_was_measured(measured: NumberResults, tmp_path: Path) -> None:
    page = write_number_report(tmp_path / "out", measured, "evaluate this", "read that").read_text("utf-8")
    assert "The model read 1 of 3 numbers without any error. It accepted 2 of 4 pictures, 1 of them wrongly." in page
    assert "codes &lt;b&gt;" in page
    assert page.count("data:image/png;base64,") == 2
    for text in ("evaluate this", "read that", "broken.png is truncated", "the 2 surest of 2 misread", "0.97"):
        assert text in page
    assert "it is plausible that up to 79.3" in page  # Wilson's upper limit for 0 of 1
    assert "The second threshold was chosen on these pictures" in page
    assert json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8")) == measured.as_dict()
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    assert rows == [
        ["right.png", "0712", "0712", "0.970000", "true", ""],
        ["wrong.png", "84", "94", "0.910000", "true", ""],
        ["empty.png", "", "1", "0.200000", "false", "uncertain"],
        ["broken.png", "5", "", "", "false", "unreadable"],
    ]


def test_a_report_without_errors_replaces_one_with_errors(measured: NumberResults, tmp_path: Path) -> None:
    write_number_report(tmp_path / "out", measured, "", "")
    assert (tmp_path / "out" / "figures" / "misread.png").exists()
    perfect = dataclasses.replace(measured, outcomes=measured.outcomes[:1])
    page = write_number_report(tmp_path / "out", perfect, "", "").read_text("utf-8")
    assert "what was read is what is written, in every picture." in page
    assert [each.name for each in (tmp_path / "out" / "figures").iterdir()] == ["risk-coverage.png"]


def test_where_no_threshold_is_good_enough_the_report_says_so(measured: NumberResults, tmp_path: Path) -> None:
    poor = dataclasses.replace(measured, outcomes=measured.outcomes[1:])
    page = write_number_report(tmp_path / "out", poor, "", "").read_text("utf-8")
    assert "no threshold accepts numbers" in page
    assert "To read with this threshold" not in page
    assert "second threshold" not in page


def test_a_picture_that_cannot_be_read_is_not_counted_as_right(measured: NumberResults, tmp_path: Path) -> None:
    readable = dataclasses.replace(measured, outcomes=(measured.outcomes[0], measured.outcomes[3]))
    page = write_number_report(tmp_path / "out", readable, "", "").read_text("utf-8")
    assert "what was read is what is written, in every picture that could be read." in page
