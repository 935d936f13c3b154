"""What `benchmarks/whole_numbers.py` counts, and that it runs."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import number_pages
import whole_numbers
from mnist_cnn.datasets.number_folder import LabelledNumber
from mnist_cnn.errors import MissingExtraError
from mnist_cnn.evaluation.number_calibration import WRONG_AMONG_ACCEPTED
from mnist_cnn.evaluation.number_results import NumberResults, pair
from mnist_cnn.reading.numbers import NumberReading, NumberReason
from mnist_cnn.reading.numbers.second_opinion import SecondOpinion
from number_pictures import Labelled, Pixels, without_number
from reading.numbers import bars
from reading.numbers.columns import ReadsAlways
from tables import number_rates
from whole_numbers import AGREED, CUTTING, OWN, WEIGHED, Answer, Result, edit_distance, summary

SHORT = st.text("012", max_size=5)


def slow_distance(first: str, second: str) -> int:
    if not first or not second:
        return len(first) + len(second)
    substituted = slow_distance(first[1:], second[1:]) + (first[0] != second[0])
    return min(slow_distance(first[1:], second) + 1, slow_distance(first, second[1:]) + 1, substituted)


@given(SHORT, SHORT)
def test_the_edit_distance_is_that_of_trying_everything(first: str, second: str) -> None:
    assert edit_distance(first, second) == slow_distance(first, second)


def test_a_summary_counts_numbers_digits_and_what_is_accepted() -> None:
    pictures = [Labelled(Path("a.png"), text) for text in ("12", "345", "6", "78")]
    answers = [
        Answer("12", 0.9, True, 0.004),
        Answer("34", 0.8, True, 0.002),
        Answer("5", 0.1, False, 0.003),
        Answer("78", 0.95, True, 0.003),
    ]
    row = summary(Result("cheques", "ours", pictures, answers))
    assert row["right"] == 0.5
    assert row["digit_errors"] == 2 / 8
    assert row["wrong_length"] == 1 / 4
    assert row["accepted"] == 3 / 4
    assert row["wrong_of_accepted"] == 1 / 3
    assert row["acceptable"] == 2 / 4
    assert row["milliseconds"] == pytest.approx(3)


def test_what_no_threshold_accepts_is_not_acceptable_here_and_in_an_evaluation() -> None:
    readings = [
        NumberReading("12", 0.9, (), ""),
        NumberReading("34", 0.8, (), NumberReason.SEVERAL),
        NumberReading("56", 0.7, (), NumberReason.DISPUTED),
        NumberReading("78", 0.6, (), NumberReason.UNCERTAIN),
        NumberReading("1", 0.5, (), NumberReason.UNCERTAIN),
    ]
    texts = ("12", "34", "0", "78", "90")
    outcomes = pair([LabelledNumber(text, Path(), text) for text in texts], readings)
    evaluated = NumberResults("ours", "codes", 0.5, outcomes).curve.coverage_at(WRONG_AMONG_ACCEPTED)
    found = iter(readings)
    reader: Any = SimpleNamespace(read=lambda _: next(found))
    answers = [whole_numbers.read_with(reader, Path()) for _ in readings]
    row = summary(Result("codes", "ours", [Labelled(Path(), text) for text in texts], answers))
    assert row["acceptable"] == evaluated == 2 / 5


def test_rapidocrs_reading_is_its_best_characters() -> None:
    network = SecondOpinion(ReadsAlways("4882"), np.arange(11))
    answer = whole_numbers.read_as_rapidocr(network, np.zeros((40, 90), np.uint8))
    assert answer.text == "4882"
    assert answer.accepted is None
    assert 0.9 < answer.confidence < 1


def test_pictures_without_a_number_are_the_same_each_time() -> None:
    first, second = (list(without_number(2, None)) for _ in range(2))
    assert [name for name, _ in first] == ["empty fields", "crossed out", "words", "drawings"]
    for (_, ones), (_, others) in zip(first, second, strict=True):
        assert [one.source.tolist() for one in ones] == [other.source.tolist() for other in others]  # type: ignore[union-attr]


def test_digits_of_a_page_are_as_high_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is too wide for its page is made smaller, but stays legible, or another one is drawn."""
    heights = []

    def place(coverage: NDArray[np.float32], height: float, random: np.random.Generator) -> Pixels:
        rows = np.flatnonzero((coverage > 0.1).any(axis=1))
        heights.append((height, rows[-1] - rows[0]))
        return np.zeros((1, 1), np.uint8)

    monkeypatch.setattr(number_pages, "PLACES", (place,))
    monkeypatch.setattr(number_pages, "SHARE", (0.2, 0.6))  # many are too wide
    monkeypatch.setattr(number_pages, "LONGER_SIDE", (300, 400))
    for seed in range(20):
        number_pages.page(np.random.default_rng(seed))
    assert all(height >= number_pages.LEGIBLE for height, _ in heights)
    assert min(found / height for height, found in heights) > 0.9  # slants and margins make it more


def test_the_benchmark_records_and_draws(
    bars_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ink" / "codes"
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "text"), ("a.png", "48213"), ("b.png", "9")])
    for name in ("a.png", "b.png"):
        Image.fromarray(255 - bars.line("48213")).save(folder / name)
    record, wrong = tmp_path / "record.json", tmp_path / "wrong"
    words = ["--ink", folder.parent, "--model", bars_model, "--strings", 0, "--drawn", 1, "--pages", 2]
    words += ["--record", record, "--cutting", "--wrong", wrong, "--figure", tmp_path / "curves.png"]

    def not_installed(_: Path | None = None) -> None:
        raise MissingExtraError("rapidocr", "ocr")

    monkeypatch.setattr(SecondOpinion, "load", not_installed)
    monkeypatch.setattr(sys, "argv", ["whole_numbers.py", *map(str, words)])
    whole_numbers.main()
    assert "skipped: RapidOCR" in capsys.readouterr().err
    result = json.loads(record.read_text("utf-8"))[0]["result"]
    (rate,) = result["numbers_per_second"]
    assert (rate["pictures"], rate["number"]) == ("codes", 2 * whole_numbers.ROUNDS)
    assert f": {rate['per_second']:,.0f} (codes)." in number_rates({"result": result})
    assert number_rates({"result": {"numbers_per_second": 250.0}}) == ""
    rows = result["numbers"]
    assert [row["reader"] for row in rows] == [OWN, CUTTING, WEIGHED, AGREED, OWN, OWN, OWN]
    assert {(row["pictures"], row["number"]) for row in rows[:4]} == {("codes", 2)}
    assert rows[4]["pictures"].startswith("codes, ")
    assert [row["pictures"] for row in rows[5:]] == ["small on a page", "tilted on a page"]
    assert (wrong / "codes, this reader.png").exists()
    assert (tmp_path / "curves.png").exists()
