"""The reader, with a network that reads bars."""

from __future__ import annotations

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.errors import DataError, ImageError, ModelFileError, SettingError
from mnist_cnn.reading.ink import read_image
from mnist_cnn.reading.numbers import Constraint, NumberReader, NumberReading, NumberReason, line_preparation
from mnist_cnn.reading.numbers.field import Field
from mnist_cnn.reading.numbers.line_network import LineNetwork
from mnist_cnn.reading.numbers.line_preparation import CROPS, PreparedLine
from mnist_cnn.reading.recognizer import SHIPPED_WEIGHTS, Recognizer
from reading.numbers import bars


@pytest.fixture(scope="module")
def reader(bars_model: Path) -> NumberReader:
    return NumberReader.load(bars_model, threads=2)


def prepared(image: NDArray[np.uint8], has_ink: bool = True) -> PreparedLine:
    return PreparedLine(image, 2.0, 3.0, 10.0, 5.0, has_ink)


def read(reader: NumberReader, text: str, length: str | None = None, pattern: str | None = None) -> NumberReading:
    return reader.read_prepared(prepared(bars.line(text)), Constraint.of(length, pattern))


def test_weights_in_a_second_file_are_read(bars_model: Path, tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "model.onnx"
    onnx.save_model(onnx.load(bars_model), path, save_as_external_data=True, location="model.data")
    assert read(NumberReader.load(path, threads=1), "48213").text == "48213"


@pytest.mark.parametrize("text", ["0", "9", "11", "48213", "0" * 5, "0123456789" * 10])
def test_numbers_are_read(reader: NumberReader, text: str) -> None:
    reading = read(reader, text)
    assert reading.text == text
    assert reading.confidence > 0.9
    assert reading.accepted
    assert "".join(digit.text for digit in reading.digits) == text
    assert all(digit.confidence > 0.9 for digit in reading.digits)


def test_boxes_are_in_pixels_of_the_original(reader: NumberReader) -> None:
    second = read(reader, "48").digits[1].box
    centre = 4 + 8 + 2  # pixels of the line
    left, top, right, bottom = 32 * np.array(bars.BOX) + [centre, 0, centre, 0]
    expected = 2 * left + 10, 3 * top + 5, 2 * right + 10, 3 * bottom + 5
    assert (second.left, second.top, second.right, second.bottom) == pytest.approx(expected)


def test_boxes_in_a_tilted_field_are_in_pixels_of_the_original(reader: NumberReader) -> None:
    line = prepared(bars.line("48"))
    flat = reader.read_prepared(line).digits[1].box
    field = Field((100.0, 50.0), (90.0, 96.0), math.pi / 2)  # turned by a right angle: x goes down, y to the left
    turned = reader.read_prepared(dataclasses.replace(line, field=field)).digits[1].box
    expected = 100 - flat.bottom, 50 + flat.left, 100 - flat.top, 50 + flat.right
    assert (turned.left, turned.top, turned.right, turned.bottom) == pytest.approx(expected)


def test_several_lines_are_rejected(reader: NumberReader) -> None:
    field = Field((0.0, 0.0), (90.0, 96.0), is_single=False)
    assert reader.read_prepared(dataclasses.replace(prepared(bars.line("48")), field=field)).reason == "several"


def test_a_constraint_restricts_the_reading(reader: NumberReader) -> None:
    reading = read(reader, "48213", pattern=r"[1-9]\d{4}")
    assert reading.text == "48213"
    assert reading.fit > 0.9
    shorter = read(reader, "48213", length="4")
    assert len(shorter.text) == 4
    assert shorter.fit < 1e-3


def test_rejections(reader: NumberReader) -> None:
    assert read(reader, "").reason == NumberReason.BLANK
    assert read(reader, "", length="5").reason == NumberReason.BLANK
    assert reader.read_prepared(prepared(bars.line("123"), has_ink=False)).reason == NumberReason.BLANK
    unfit = read(reader, "12", length="50")
    assert (unfit.reason, unfit.text, unfit.confidence, unfit.digits, unfit.fit) == (
        NumberReason.UNFIT,
        "",
        0.0,
        (),
        0.0,
    )
    halfway = ((bars.LEVELS[3] + bars.LEVELS[4]) / 2).astype(np.uint8)
    doubtful = np.where(bars.line("2"), halfway + np.uint8(0), np.uint8(0)).astype(np.uint8)
    strict = dataclasses.replace(reader, threshold=0.9)
    reading = strict.read_prepared(prepared(doubtful))
    assert reading.reason == NumberReason.UNCERTAIN
    assert not reading.accepted
    assert all(reason.text.endswith(".") for reason in NumberReason)


def test_a_number_that_hardly_fits_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "fit.onnx"
    path.write_bytes(bars.make(bars.metadata(fit_threshold=0.01).to_strings()))
    reader = NumberReader.load(path)
    assert read(reader, "123", length="3").accepted
    assert read(reader, "123", length="2").reason == NumberReason.UNFIT


def test_narrow_and_wide_lines(reader: NumberReader) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 10_000), np.uint8)
    for width in (1, 3, 15, 16, 17, 33, 2560):
        reader.read(noise[:, :width])
    with pytest.raises(ImageError, match=r"500 times as wide as high\. Valid: at most 128 times"):
        reader.read(noise)


def test_pictures_are_read_in_order_and_errors_stay_in_their_place(reader: NumberReader, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no picture")
    sources: list[Any] = [bars.line(str(number)) for number in range(10, 30)]
    results = list(reader.read_many([*sources, damaged], pattern=r"\d\d"))
    assert [source is given for (source, _), given in zip(results, [*sources, damaged], strict=True)] == [True] * 21
    assert [type(result) for _, result in results[:-1]] == [NumberReading] * 20
    assert isinstance(results[-1][1], DataError)
    with pytest.raises(SettingError, match="length"):
        reader.read_many(iter(sources), length="no")
    with pytest.raises(ImageError, match="this is one"):
        reader.read_many(damaged)  # type: ignore[arg-type]


def test_threads_may_share_a_reader(reader: NumberReader) -> None:
    texts = [str(number) for number in range(100, 200)]
    with ThreadPoolExecutor(4) as pool:
        assert [reading.text for reading in pool.map(lambda text: read(reader, text), texts)] == texts


def test_a_calibration_keeps_the_order(tmp_path: Path) -> None:
    plain = bars.metadata()
    careful = bars.metadata(calibration_bias=-1.0, calibration_slope=0.5)
    logs = [-1000.0, -20.0, -1.0, -0.1, -1e-9, 0.0]
    np.testing.assert_allclose([plain.confidence(each) for each in logs], np.exp(logs), atol=1e-12)
    confidences = [careful.confidence(each) for each in logs]
    assert confidences == sorted(confidences)
    assert careful.confidence(-0.1) < plain.confidence(-0.1)
    path = tmp_path / "careful.onnx"
    path.write_bytes(bars.make(careful.to_strings()))
    assert NumberReader.load(path).metadata == careful


@pytest.mark.parametrize(
    "values", [{"calibration_slope": 0}, {"calibration_bias": "x"}, {"fit_threshold": 2}, {"rejection_threshold": -1}]
)
def test_damaged_metadata_are_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(bars.make(dataclasses.replace(bars.metadata(), **values).to_strings()))
    with pytest.raises(ModelFileError, match=next(iter(values))):
        NumberReader.load(path)


def test_other_model_files_are_refused(tmp_path: Path, bars_model: Path) -> None:
    with pytest.raises(ModelFileError, match=r"is a network for single digits.* mnist-cnn predict --model"):
        NumberReader.load(SHIPPED_WEIGHTS)
    with pytest.raises(ModelFileError, match=r"is a network for whole numbers.* mnist-cnn read --model"):
        Recognizer.load(bars_model)
    path = tmp_path / "other.onnx"
    path.write_bytes(bars.make({}))
    with pytest.raises(ModelFileError, match="no metadata"):
        NumberReader.load(path)
    path.write_bytes(bars.make(outputs=("logits", "boxes")))
    with pytest.raises(ModelFileError, match="does not read numbers"):
        NumberReader.load(path)
    path.write_bytes(bars.make(bars.metadata(preprocessing="line-other").to_strings()))
    with pytest.warns(UserWarning, match="line-other"):
        NumberReader.load(path)


def test_boxes_are_in_pixels_of_a_large_file_that_is_decoded_in_reduced_size(tmp_path: Path) -> None:
    small = np.full((60, 150), 240, np.uint8)
    cv2.putText(small, "2750", (10, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 20, 2, cv2.LINE_AA)
    large = cv2.resize(small, None, fx=60, fy=60, interpolation=cv2.INTER_LINEAR)
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), large)
    assert max(read_image(path).shape) < max(large.shape)
    reader = NumberReader.load(threads=1)
    expected, found = reader.read(small), reader.read(path)
    assert found.text == expected.text == "2750"
    for one, other in zip(expected.digits, found.digits, strict=True):
        np.testing.assert_allclose(astuple(other.box), 60 * np.array(astuple(one.box)), atol=60 * 4)


class Counting:
    """Counts how often a network looks."""

    def __init__(self, network: LineNetwork) -> None:
        self._network = network
        self.looks = 0

    def run(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.floating], NDArray[np.float32]]:
        self.looks += 1
        return self._network.run(image)


def test_a_picture_that_is_too_wide_is_refused_before_it_is_examined(
    reader: NumberReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_preparation, "prepare_levels", None)
    with pytest.raises(ImageError, match=r"4333 times as wide as high"):
        reader.read(np.full((30, 130_000), 255, np.uint8))


def test_only_a_doubtful_number_is_looked_at_again(reader: NumberReader) -> None:
    sure = bars.line("48")
    doubtful = np.where(sure == bars.LEVELS[9], (bars.LEVELS[9] + bars.LEVELS[8]) // 2 + 1, sure).astype(np.uint8)
    for image, looks in (sure, 1), (doubtful, 1 + len(CROPS)):
        line = dataclasses.replace(prepared(image), darkness=image.astype(np.float32) / 255)
        counting = Counting(reader.network)
        dataclasses.replace(reader, network=counting).read_prepared(line)  # type: ignore[arg-type]
        assert counting.looks == looks


@pytest.mark.parametrize(("text", "length"), [("48", "5"), ("", None)])
def test_what_cannot_be_a_number_is_looked_at_once(reader: NumberReader, text: str, length: str | None) -> None:
    line = prepared(bars.line(text, padding=4))
    line = dataclasses.replace(line, darkness=line.image.astype(np.float32) / 255)
    counting = Counting(reader.network)
    constraint = Constraint.of(length)
    dataclasses.replace(reader, network=counting).read_prepared(line, constraint)  # type: ignore[arg-type]
    assert counting.looks == 1


def test_digits_far_apart_are_several_numbers(reader: NumberReader) -> None:
    near, far = (np.hstack([bars.line("48"), np.zeros((32, width), np.uint8), bars.line("21")]) for width in (16, 64))
    assert [reader.read_prepared(prepared(image)).reason for image in (near, far)] == ["", NumberReason.SEVERAL]


def test_what_looks_like_a_small_number_may_be_a_part_of_a_large_one(reader: NumberReader) -> None:
    part = dataclasses.replace(prepared(bars.line("8")), field=Field((0.0, 0.0), (20.0, 20.0)))
    number, blank = (prepared(bars.line(text)) for text in ("48213", ""))
    assert reader.read_prepared(dataclasses.replace(part, whole=number)).text == "48213"
    assert reader.read_prepared(dataclasses.replace(part, whole=blank)).text == "8"


def test_one_of_several_lines_is_rejected_whatever_the_whole_picture_shows(reader: NumberReader) -> None:
    field = Field((0.0, 0.0), (20.0, 20.0), is_single=False)
    line = dataclasses.replace(prepared(bars.line("8")), field=field, whole=prepared(bars.line("48213")))
    reading = reader.read_prepared(line)
    assert (reading.text, reading.reason) == ("48213", NumberReason.SEVERAL)


def test_a_whole_picture_that_does_not_fit_does_not_replace_a_field_that_does(reader: NumberReader) -> None:
    field = Field((0.0, 0.0), (20.0, 20.0))
    line = dataclasses.replace(prepared(bars.line("48")), field=field, whole=prepared(bars.line("48213")))
    reading = reader.read_prepared(line, Constraint.of(2))
    assert (reading.text, reading.accepted) == ("48", True)


def test_a_second_reader_must_have_something_to_read(reader: NumberReader) -> None:
    two = dataclasses.replace(reader, second_opinion=object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs the grey levels"):
        two.read_prepared(prepared(bars.line("48")))
