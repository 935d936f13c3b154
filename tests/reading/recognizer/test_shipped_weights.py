"""What the included weights promise, on the bundled digits, and on the real MNIST if it is available."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

import mnist_cnn
from mnist_cnn.augmentation.outliers import draw_outliers
from mnist_cnn.datasets import Dataset, load_dataset
from mnist_cnn.reading.ink import PREPROCESSING, prepare
from mnist_cnn.reading.recognizer import Recognizer

WEIGHTS = Path(mnist_cnn.__file__).parent / "reading" / "weights"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


@pytest.fixture(scope="module")
def mnist(mnist_dir: Path) -> Dataset:
    return load_dataset("mnist", split="test", data_dir=mnist_dir)


def test_they_are_small_and_say_what_they_are(recognizer: Recognizer) -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.glob("digits.*")) <= 1_600_000
    assert (WEIGHTS / "numbers.onnx").stat().st_size < 4_000_000
    metadata = recognizer.metadata
    assert metadata.class_names == tuple("0123456789")
    assert (metadata.dataset, metadata.architecture, metadata.preprocessing) == ("mnist", "light", PREPROCESSING)
    assert metadata.accuracy is not None
    assert metadata.accuracy >= 0.996
    assert 0.5 < metadata.temperature < 2
    assert 0.5 < recognizer.threshold < 1
    assert f"{metadata.accuracy:.2%}".replace("%", " %") in (WEIGHTS / "README.md").read_text("utf-8")


def test_the_keras_file_is_the_same_network_and_no_more(recognizer: Recognizer) -> None:
    from mnist_cnn.evaluation.predictions import predict_images
    from mnist_cnn.export.formats import FORMATS
    from mnist_cnn.models.persistence import open_model

    images = load_dataset("digits").images
    model = open_model(Path("digits"))
    np.testing.assert_allclose(predict_images(model, images), recognizer.network.scores(images, 1), atol=1e-5)
    assert not model.compiled  # no optimizer, whose state would double the size
    ours, theirs = recognizer.metadata, FORMATS["keras"].read_metadata(WEIGHTS / "digits.keras")
    assert theirs is not None
    assert dataclasses.replace(ours, temperature=1, rejection_threshold=0) == dataclasses.replace(
        theirs, temperature=1, rejection_threshold=0
    )


def test_they_read_other_peoples_digits(recognizer: Recognizer) -> None:
    """Scikit-learn's digits: other writers, 8×8, enlarged."""
    digits = load_dataset("digits")
    accuracy = (recognizer.predict(list(digits.images)) == digits.labels).mean()
    assert accuracy > 0.93


def test_they_reject_outliers(recognizer: Recognizer) -> None:
    outliers = draw_outliers(300, load_dataset("digits").images, np.random.default_rng(2**31))
    readings = [recognizer.read(image) for image in outliers]
    assert np.mean([reading.accepted for reading in readings]) < 0.1


@pytest.mark.parametrize("digit", range(10))
def test_a_printed_digit_is_read_in_any_polarity(recognizer: Recognizer, digit: int) -> None:
    paper = np.full((200, 160), 235, np.uint8)
    cv2.putText(paper, str(digit), (40, 140), cv2.FONT_HERSHEY_SIMPLEX, 4, 30, 8, cv2.LINE_AA)
    assert recognizer.predict([paper, 255 - paper]).tolist() == [digit, digit]


@pytest.mark.mnist
def test_they_reach_what_they_promise_on_mnist(recognizer: Recognizer, mnist: Dataset) -> None:
    accuracy = float((recognizer.predict(mnist.images) == mnist.labels).mean())
    assert accuracy >= 0.996
    assert accuracy == pytest.approx(recognizer.metadata.accuracy, abs=1e-4)


@pytest.mark.mnist
def test_mnists_own_images_lose_nothing_on_their_way_through_ink(recognizer: Recognizer, mnist: Dataset) -> None:
    as_they_are = recognizer.predict(mnist.images)
    prepared = recognizer.predict(np.stack([prepare(image).image for image in mnist.images]))
    lost = (as_they_are == mnist.labels).mean() - (prepared == mnist.labels).mean()
    assert lost <= 0.0005
