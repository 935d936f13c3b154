from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_cnn.errors import ModelFileError
from mnist_cnn.reading.metadata import TEMPERATURES, ModelMetadata

FULL = ModelMetadata(
    class_names=("zero", "één", "二"),
    temperature=1.25,
    rejection_threshold=0.9,
    dataset="digits",
    accuracy=0.987,
    architecture="light",
    package_version="1.2.3",
)


@given(
    st.builds(
        ModelMetadata,
        class_names=st.lists(st.text(max_size=200)).map(tuple),
        temperature=st.floats(*TEMPERATURES),
        rejection_threshold=st.floats(0, 1),
        dataset=st.text(),
        accuracy=st.none() | st.floats(0, 1),
    )
)
def test_written_metadata_can_be_read_back(metadata: ModelMetadata) -> None:
    assert ModelMetadata.from_strings(metadata.to_strings(), "a file") == metadata


def test_other_metadata_beside_ours_is_passed_over() -> None:
    strings = {**FULL.to_strings(), "author": "someone", "mnist_cnn.from_the_future": "[1]"}
    assert ModelMetadata.from_strings(strings, "a file") == FULL
    assert ModelMetadata.from_strings({"author": "someone"}, "a file") is None


@pytest.mark.parametrize(
    ("key", "texts"),
    [
        ("temperature", ["0", '"warm"', "NaN", "1" + "0" * 400, "true"]),
        ("accuracy", ["1.5", "[" * 100_000]),
        ("class_names", ['[["a"], ["b"]]', json.dumps(["7" * 5000]), "7", "{"]),
        ("dataset", ["[]"]),
    ],
)
def test_damaged_metadata_is_refused_by_name(key: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ModelFileError, match=r"some\.onnx"):
            ModelMetadata.from_strings({**FULL.to_strings(), f"mnist_cnn.{key}": text}, "some.onnx")


def test_metadata_without_class_names_is_refused() -> None:
    strings = FULL.to_strings()
    del strings["mnist_cnn.class_names"]
    with pytest.raises(ModelFileError, match="class_names"):
        ModelMetadata.from_strings(strings, "some.onnx")


def test_logits_and_their_softmax_are_calibrated_alike() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (20, 3)).astype(np.float32)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(FULL.calibrate(logits, logits=True), FULL.calibrate(softmax), atol=1e-5)


def test_calibration_takes_probabilities_that_underflowed() -> None:
    found = FULL.calibrate(np.array([[1, 0, 0], [0.5, 0.5, 0]], np.float32))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found[0].argmax() == 0
