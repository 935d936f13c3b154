"""The recogniser compared with a slow, obvious reference: NumPy, one image at a time."""

from __future__ import annotations

import collections
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mnist_cnn.datasets import DIGIT_NAMES
from mnist_cnn.errors import DataError, InputError
from mnist_cnn.reading.ink import prepare
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.recognizer import Reading, Recognizer
from mnist_cnn.reading.recognizer.arrangement import arrange, is_mnist_form
from reading.recognizer import linear
from reading.recognizer.conftest import TEMPERATURE


def png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def drawing(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Dark ink on light paper, four times as large."""
    return np.asarray(255 - np.kron(digit, np.ones((4, 4), np.uint8)), np.uint8)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 64, 65, 200])
def test_every_batch_size_returns_the_results_of_the_network(
    model_file: Path, digits: NDArray[np.uint8], count: int, threads: int
) -> None:
    recognizer = Recognizer.load(model_file, threads=threads)
    images = digits[:count]
    expected = linear.probabilities(images, TEMPERATURE)
    found = recognizer.predict_proba(images)
    assert found.dtype == np.float32
    assert found.shape == (count, 10)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    classes = recognizer.predict(images)
    assert classes.dtype == np.int64
    np.testing.assert_array_equal(classes, expected.argmax(axis=1))


def test_one_image_and_a_batch_with_channels_need_no_preparation(
    recognizer: Recognizer, digits: NDArray[np.uint8]
) -> None:
    expected = recognizer.predict_proba(digits[:5])
    for same in (digits[:5, :, :, None], list(digits[:5]), tuple(digits[:5, :, :, None]), digits[:5][:, ::1]):
        np.testing.assert_array_equal(recognizer.predict_proba(same), expected)
    for one in (digits[2], digits[2][:, :, None], np.asfortranarray(digits[2]), digits[2].view(np.matrix)):
        np.testing.assert_allclose(recognizer.predict_proba(one), expected[2:3], rtol=1e-6)
    assert recognizer.predict([]).shape == (0,)


def test_all_kinds_of_one_picture_agree(recognizer: Recognizer, digits: NDArray[np.uint8], tmp_path: Path) -> None:
    picture = drawing(digits[7])
    path = tmp_path / "seven.png"
    path.write_bytes(png(picture))
    content = path.read_bytes()
    kinds: list[Any] = [picture, picture[:, :, None], np.stack([picture] * 3, axis=-1), picture / 255, path, str(path),
                        content, bytearray(content), memoryview(content), Image.fromarray(picture)]  # fmt: skip
    expected = recognizer.network.scores(prepare(picture).image[None], threads=1)
    for kind in kinds:
        assert recognizer.predict(kind).tolist() == [expected.argmax()]
    np.testing.assert_array_equal(recognizer.predict(kinds), [expected.argmax()] * len(kinds))
    np.testing.assert_array_equal(
        recognizer.predict_proba(np.stack([picture, picture])[..., None]), recognizer.predict_proba([picture, picture])
    )


def test_ink_prepares_images_that_are_not_in_mnist_form(recognizer: Recognizer, digits: NDArray[np.uint8]) -> None:
    mixed = digits[:6].copy()
    mixed[[1, 4]] = 255 - mixed[[1, 4]]
    expected = np.stack([prepare(image).image if index in (1, 4) else image for index, image in enumerate(mixed)])
    before = mixed.copy()
    np.testing.assert_array_equal(recognizer.predict_proba(mixed), recognizer.predict_proba(list(expected)))
    np.testing.assert_array_equal(mixed, before)
    floats = digits[:3] / 255
    np.testing.assert_array_equal(arrange(floats, 2), np.stack([prepare(image).image for image in floats]))


def box(left: int, top: int, width: int, height: int, level: int = 255) -> NDArray[np.uint8]:
    image = np.zeros((28, 28), np.uint8)
    image[top : top + height, left : left + width] = level
    return image


@pytest.mark.parametrize(
    ("image", "is_unchanged"),
    [
        (box(9, 4, 10, 20), True),
        (box(4, 11, 20, 6), True),
        (box(9, 4, 10, 20)[..., np.newaxis], True),
        (box(9, 4, 10, 20).astype(np.float32), False),
        (255 - box(9, 4, 10, 20), False),  # dark on white
        (box(9, 4, 10, 20, level=90), False),  # faint
        (box(9, 9, 5, 10), False),  # small
        (box(2, 2, 24, 24), False),  # large
        (box(0, 4, 6, 20), False),  # at the side
        (np.zeros((28, 28), np.uint8), False),
        (np.zeros((28, 28, 3), np.uint8), False),
        (np.zeros((27, 28), np.uint8), False),
    ],
)
def test_an_image_that_looks_like_mnist_is_not_prepared(image: NDArray[np.uint8], is_unchanged: bool) -> None:
    assert is_mnist_form(image) == is_unchanged
    if image.dtype == np.uint8 and image.size == 784:
        reached = arrange(np.stack([image, image]), 1)[1]
        assert np.array_equal(reached, image.reshape(28, 28)) or not is_unchanged


def test_a_reading_describes_one_image(recognizer: Recognizer, digits: NDArray[np.uint8]) -> None:
    reading = recognizer.read(digits[0])
    expected = linear.probabilities(digits[:1], TEMPERATURE)[0]
    assert reading.digit == expected.argmax()
    assert reading.label == str(reading.digit)
    assert reading.confidence == pytest.approx(expected.max(), abs=1e-5)
    np.testing.assert_allclose(reading.probabilities, expected, atol=1e-5)
    assert reading.has_ink
    assert reading.accepted == (expected.max() >= 0.4)


@pytest.mark.parametrize("blank", [np.zeros((28, 28), np.uint8), np.full((90, 60), 255, np.uint8)])
def test_blank_images_are_rejected_whatever_the_threshold(model_file: Path, blank: NDArray[np.uint8]) -> None:
    reading = Recognizer.load(model_file, threshold=0).read(blank)
    assert not reading.has_ink
    assert not reading.accepted


def test_the_threshold_decides(model_file: Path, digits: NDArray[np.uint8]) -> None:
    confidence = Recognizer.load(model_file).read(digits[0]).confidence
    assert Recognizer.load(model_file, threshold=confidence).read(digits[0]).accepted
    assert not Recognizer.load(model_file, threshold=min(1.0, confidence + 1e-6)).read(digits[0]).accepted


def test_many_images_are_read_in_order_with_errors_in_their_place(
    recognizer: Recognizer, digits: NDArray[np.uint8]
) -> None:
    sources = [*digits[:40], b"no image", *digits[40:50]]
    results = list(recognizer.read_many(iter(sources)))
    assert [source is given for (source, _), given in zip(results, sources, strict=True)] == [True] * len(sources)
    assert isinstance(results[40][1], DataError)
    readings = [result for _, result in results if isinstance(result, Reading)]
    assert [reading.digit for reading in readings] == recognizer.predict(digits[:50]).tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_reading_many_consumes_few_images_in_advance(model_file: Path, digits: NDArray[np.uint8], threads: int) -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield digits[0]

    readings = Recognizer.load(model_file, threads=threads).read_many(endless())
    for _ in range(30):
        next(readings)
    assert taken <= 50
    readings.close()  # type: ignore[attr-defined]


def test_an_unreadable_image_of_a_batch_is_named_by_its_index(
    recognizer: Recognizer, digits: NDArray[np.uint8]
) -> None:
    with pytest.raises(DataError, match="image 3 of the batch"):
        recognizer.predict([digits[0], digits[1], b"no image"])


def test_many_threads_share_one_recognizer(recognizer: Recognizer, digits: NDArray[np.uint8]) -> None:
    expected = recognizer.predict_proba(digits)

    def work(seed: int) -> bool:
        start = seed % 100
        several = recognizer.predict_proba(digits[start : start + 90])
        one = recognizer.predict(digits[start])
        return np.allclose(several, expected[start : start + 90], atol=1e-6) and one[0] == expected[start].argmax()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


def test_classes_may_have_names(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    names = tuple("abcdefghij")
    path = tmp_path / "letters.onnx"
    path.write_bytes(linear.make(grey_levels=True, metadata=ModelMetadata(names).to_strings()))
    loaded = Recognizer.load(path)
    assert loaded.class_names == names
    assert loaded.read(digits[0]).label == names[loaded.predict(digits[0])[0]]


def test_a_threshold_for_another_preprocessing_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    metadata = ModelMetadata(DIGIT_NAMES, preprocessing="ink-0")
    path.write_bytes(linear.make(grey_levels=True, metadata=metadata.to_strings()))
    with pytest.warns(
        UserWarning, match="chosen with preprocessing 'ink-0', but this version prepares images with 'ink-4'"
    ):
        Recognizer.load(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.bool_])
def test_rows_of_784_pixels_are_refused_with_advice(
    recognizer: Recognizer, digits: NDArray[np.uint8], dtype: Any
) -> None:
    """As one image, they would give one meaningless answer."""
    rows: NDArray[Any] = digits[:40].reshape(40, 784).astype(dtype)
    rows = rows / 255 if dtype == np.float32 else rows
    for refuse in (recognizer.predict, recognizer.predict_proba, recognizer.read, recognizer.read_many):
        with pytest.raises(DataError, match=r"reshape\(-1, 28, 28\)"):
            refuse(rows)
    with pytest.raises(DataError, match=r"image 2 of the batch: .*reshape\(-1, 28, 28\)"):
        recognizer.predict([digits[0], rows])
    if dtype != np.bool_:  # bool has no grey levels
        np.testing.assert_array_equal(recognizer.predict(rows.reshape(-1, 28, 28)), recognizer.predict(digits[:40]))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_one_row_of_784_pixels_is_one_image_for_every_method(
    recognizer: Recognizer, digits: NDArray[np.uint8], dtype: Any
) -> None:
    images = digits[:2].astype(dtype)
    row, other = images.reshape(2, 784)
    expected = recognizer.predict_proba(images[0])
    assert expected.shape == (1, 10)
    np.testing.assert_array_equal(recognizer.predict_proba(row), expected)
    np.testing.assert_array_equal(recognizer.read(row).probabilities, expected[0])
    np.testing.assert_array_equal(recognizer.predict([row, other]), recognizer.predict(images))
    read = [reading.digit for _, reading in recognizer.read_many([row, other]) if isinstance(reading, Reading)]
    assert read == recognizer.predict(images).tolist()
    with pytest.raises(InputError, match="this is one"):
        recognizer.read_many(row)


def wide(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Dark ink on light paper, in the middle of an image 784 pixels wide, like a row of pixels."""
    large = np.kron(digit, np.ones((10, 10), np.uint8))
    picture = np.full((300, 784), 255, np.uint8)
    left = (784 - 280) // 2
    picture[10:290, left : left + 280] -= large
    return picture


@pytest.mark.parametrize("make", [
    lambda grey: grey,
    lambda grey: grey[..., None],
    lambda grey: np.stack([np.zeros_like(grey), 255 - grey], axis=2),  # black ink, transparent paper
    lambda grey: np.stack([grey] * 3, axis=2),
    lambda grey: np.stack([grey / 255, np.ones(grey.shape)], axis=2),
], ids=["grey", "1 channel", "transparent", "RGB", "floats and alpha"])  # fmt: skip
def test_one_picture_as_an_array_is_one(make: Any, recognizer: Recognizer, digits: NDArray[np.uint8]) -> None:
    grey = wide(digits[3])
    expected = recognizer.read(grey)
    assert recognizer.predict(make(grey)).tolist() == [expected.digit]
    assert recognizer.predict_proba(make(grey)).shape == (1, 10)
    assert recognizer.read(make(grey)).digit == expected.digit
    with pytest.raises(InputError, match="this is one"):
        recognizer.read_many(make(grey))
    assert recognizer.predict(np.stack([make(grey)] * 3)).tolist() == [expected.digit] * 3


def test_an_open_file_is_one_picture(recognizer: Recognizer, digits: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "seven.png"
    path.write_bytes(png(drawing(digits[7])))
    expected = recognizer.predict_proba(path)
    written = io.BytesIO()
    Image.open(path).save(written, "PNG")  # stands at its end
    with path.open("rb") as file, zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        archive.write(path, "seven.png")
        for one in (file, file, written, io.BytesIO(path.read_bytes()), archive.open("seven.png")):
            np.testing.assert_array_equal(recognizer.predict_proba(one), expected)
            assert recognizer.read(one).digit == expected.argmax()
            with pytest.raises(InputError, match="this is one"):
                recognizer.read_many(one)
        assert len(recognizer.predict([file, written, path])) == 3
        assert not file.closed


def test_a_file_that_cannot_be_read_is_named(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("seven")
    with path.open() as text, pytest.raises(DataError, match="Open it in binary mode"):
        recognizer.predict(text)  # type: ignore[arg-type]
    closed = io.BytesIO(b"closed")
    closed.close()
    with pytest.raises(DataError, match="this BytesIO cannot be read"):
        recognizer.predict(closed)
    with pytest.raises(DataError, match="damaged"):
        recognizer.predict(io.BytesIO(b"no image"))


@pytest.mark.parametrize(
    "refused",
    [{"a": np.zeros((28, 28))}, {"a.png"}, iter(["a.png"]), collections.deque(["a.png"]), 3.5, None],
    ids=lambda value: type(value).__name__,
)
def test_other_collections_are_refused_by_name(recognizer: Recognizer, refused: Any) -> None:
    name = type(refused).__name__
    for method in (recognizer.predict, recognizer.predict_proba):
        with pytest.raises(DataError, match=f"^{name} is neither one image nor many. Valid: array, path"):
            method(refused)
    with pytest.raises(DataError, match=f"{name} is not an image"):
        recognizer.read(refused)
    if not isinstance(refused, Iterator):
        with pytest.raises(DataError, match=f"^{name} is neither"):
            recognizer.read_many(refused)


@pytest.mark.parametrize("wrong", [np.zeros((2, 2, 2, 2, 2)), np.array([]), [None], "", b""])
def test_other_values_are_refused(recognizer: Recognizer, wrong: Any) -> None:
    with pytest.raises(DataError):
        recognizer.predict(wrong)


@pytest.mark.parametrize("count", [0, 1, 2, 70])
def test_prepared_images_are_read_together(recognizer: Recognizer, digits: NDArray[np.uint8], count: int) -> None:
    images = [drawing(digit) if place % 2 else digit for place, digit in enumerate(digits[:count])]
    images[1:2] = [np.full((40, 40), 255, np.uint8)] * (count > 1)
    for found, image in zip(recognizer.read_prepared([prepare(each) for each in images]), images, strict=True):
        expected = recognizer.read(image)
        assert (found.digit, found.label, found.reason) == (expected.digit, expected.label, expected.reason)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)


def test_a_run_folder_and_a_folder_of_exports_are_read(tmp_path: Path, model_file: Path) -> None:
    with pytest.raises(InputError, match=rf"neither model.onnx nor exports/model.onnx.*mnist-cnn export {tmp_path}"):
        Recognizer.load(tmp_path)
    for folder in (tmp_path / "exports", tmp_path):
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_bytes(model_file.read_bytes())
        assert Recognizer.load(tmp_path).metadata.temperature == TEMPERATURE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": 0}, "threads = 0"),
        ({"threshold": 1.5}, "threshold = 1.5"),
        ({"threshold": float("nan")}, "threshold = nan"),
        ({"scale": 0.0}, "scale = 0.0"),
        ({"scale": 255}, "Leave out the scale"),
        ({"path": "none.onnx"}, "there is no model none.onnx"),
        ({"path": "runs/mine/model.keras"}, "mnist-cnn export"),
    ],
)
def test_invalid_arguments_are_named(arguments: dict[str, Any], message: str, model_file: Path) -> None:
    with pytest.raises(InputError, match=message):
        Recognizer.load(**{"path": model_file, **arguments})
