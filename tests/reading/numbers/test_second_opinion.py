"""A second reader, and what two readers think together."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.errors import MissingExtraError, ModelFileError
from mnist_cnn.reading.numbers import NumberReader, NumberReason, second_opinion
from mnist_cnn.reading.numbers.automaton import Automaton
from mnist_cnn.reading.numbers.constraints import Constraint
from mnist_cnn.reading.numbers.ctc import log_probabilities
from mnist_cnn.reading.numbers.field import find_field
from mnist_cnn.reading.numbers.looks import Look
from mnist_cnn.reading.numbers.second_opinion import NETWORK, SecondOpinion, Verdict, reconcile
from reading.numbers import bars
from reading.numbers.columns import ReadsAlways, doubtful
from reading.recognizer import linear


@pytest.fixture
def reader(bars_model: Path) -> NumberReader:
    return NumberReader.load(bars_model, threads=2, threshold=0.9)


def beside(reader: NumberReader, text: str) -> NumberReader:
    """Add a second reader that always reads `text`."""
    return dataclasses.replace(reader, second_opinion=SecondOpinion(ReadsAlways(text), np.arange(11)))


def weighed(own: NDArray[np.float64], other: NDArray[np.float64], automaton: Automaton | None = None) -> Verdict:
    """Weigh one look of each reader."""
    return reconcile([Look.at(own, automaton)], Look.at(other, automaton))


def picture(text: str) -> NDArray[np.uint8]:
    """Print a number as cleanly as possible: dark on light, uint8 [60, w]."""
    page = np.full((60, 30 * len(text) + 20), 255, np.uint8)
    return np.asarray(cv2.putText(page, text, (10, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 0, 2, cv2.LINE_AA), np.uint8)


def test_readers_that_agree_are_surer_than_each_alone() -> None:
    own, other = doubtful("48", "43"), doubtful("48", "18")
    together = weighed(own, other)
    assert together.text == "48"
    assert together.is_agreed
    assert together.confidence > 0.9


def test_two_sure_readers_of_different_numbers_are_not_sure_together() -> None:
    together = weighed(doubtful("48"), doubtful("43"))
    assert not together.is_agreed
    assert together.confidence < 0.995


def test_a_single_digit_of_which_our_reader_is_not_sure_is_not_agreed() -> None:
    assert not weighed(doubtful("1", "7"), doubtful("1")).is_agreed
    assert weighed(doubtful("1"), doubtful("1", "7")).is_agreed


def test_the_number_that_both_find_possible_wins_over_each_ones_favourite() -> None:
    together = weighed(doubtful("44", "11"), doubtful("99", "11"))
    assert together.text == "11"


def test_a_second_opinion_counts_only_among_numbers_that_fit() -> None:
    constraint = Constraint.of(pattern="[1-9]8")
    assert constraint
    together = weighed(doubtful("48"), doubtful("08", "48"), constraint.automaton)
    assert together.text == "48"
    assert together.is_agreed


def test_a_number_without_room_in_our_columns_is_not_considered() -> None:
    together = weighed(doubtful("4", sureness=1)[:2], doubtful("444444"))
    assert len(together.text) <= 2


def test_empty_paper_stays_empty_whatever_the_second_reader_sees() -> None:
    blank = log_probabilities(np.eye(11)[np.zeros(8, int)] * 20)
    assert weighed(blank, doubtful("48")).text == ""


def test_agreement_is_accepted_and_disagreement_named() -> None:
    reader, image = NumberReader.load(threads=1, threshold=0.9), picture("2750")
    alone = reader.read(image)
    agreed, disputed = (beside(reader, text).read(image) for text in ("2750", "27507"))
    assert agreed.text == alone.text == "2750"
    assert agreed.accepted
    assert [digit.box for digit in agreed.digits] == [digit.box for digit in alone.digits]
    assert disputed.reason == NumberReason.DISPUTED


def test_many_pictures_get_a_second_opinion_each(reader: NumberReader) -> None:
    images = [255 - bars.line(text) for text in ("48", "13", "5")]
    two = beside(reader, "48")
    assert [found for _, found in two.read_many(images)] == [two.read(image) for image in images]


def test_a_number_on_a_page_is_shown_to_the_second_reader_without_the_page() -> None:
    page = np.full((600, 900), 255, np.uint8)
    page[400:460, 300:440] = picture("2750")
    session = ReadsAlways("2750")
    second = SecondOpinion(session, np.arange(11))
    dataclasses.replace(NumberReader.load(threads=1), second_opinion=second).read(page)
    field = find_field(page)
    assert field
    second.columns(field.cut(page))
    shown, expected = session.pictures[0], session.pictures[-1]
    np.testing.assert_array_equal(shown, expected)
    assert np.count_nonzero((shown[0, 0] < -0.5).any(axis=1)) > 20  # of 48 rows; 2 if the whole page were shown


def test_a_package_without_the_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = SimpleNamespace(version="3.12.1", locate_file=lambda name: tmp_path / name)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: installed)
    monkeypatch.setattr(second_opinion, "package_command", lambda requirement: f"pip install {requirement}")
    with pytest.raises(ModelFileError, match=r"rapidocr 3\.12\.1 does not contain .*pip install rapidocr==3\.10\.\*"):
        SecondOpinion.load()


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", nothing)
    with pytest.raises(MissingExtraError, match=r"'ocr'.*rapidocr"):
        SecondOpinion.load()


def test_a_network_without_characters_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(linear.make(metadata={"character": "a\nb"}))
    with pytest.raises(ModelFileError, match=NETWORK):
        SecondOpinion.load(path)


@pytest.mark.parametrize("text", ["0", "1234567890", "48213"])
def test_rapidocr_reads_the_same_where_only_digits_are(text: str) -> None:
    """In its own reader, digits cannot be the only characters."""
    rapidocr = pytest.importorskip("rapidocr")
    theirs = rapidocr.RapidOCR(params={"Global.use_det": False, "Global.use_cls": False, "Global.log_level": "error"})
    image = picture(text)
    columns = SecondOpinion.load().columns(image)
    together = weighed(columns, columns)
    assert together.text == theirs(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)).txts[0] == text


@pytest.mark.parametrize("shape", [(30, 90), (48, 700), (20, 300)])
def test_a_low_picture_is_resized_as_rapidocr_does(shape: tuple[int, int]) -> None:
    recognition = pytest.importorskip("rapidocr.ch_ppocr_rec.main")
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    session = ReadsAlways("1")
    SecondOpinion(session, np.arange(11)).columns(image)
    ratio = max(320 / 48, shape[1] / shape[0])
    settings = SimpleNamespace(rec_image_shape=(3, 48, 320))
    theirs = recognition.TextRecognizer.resize_norm_img(settings, cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), ratio)
    np.testing.assert_allclose(session.pictures[0][0], theirs, atol=1e-6)
