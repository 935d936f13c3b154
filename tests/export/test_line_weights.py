"""Training can go on from an ONNX file: the network computes the same, with batch statistics that are true."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_cnn.export.line_graph import to_line_onnx
from mnist_cnn.export.line_weights import from_line_onnx
from mnist_cnn.models.backend import layers
from mnist_cnn.models.fully_convolutional import build_line_network
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata

WIDTHS = (4, 6, 8, 10, 12)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((8, 32, 64, 1), np.float32)


@pytest.fixture(scope="module")
def content(images: np.ndarray) -> bytes:
    model, random = build_line_network(WIDTHS, seed=1), np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return to_line_onnx(model, NumberMetadata(tuple("0123456789")))


def test_the_network_computes_what_the_file_computes(content: bytes, images: np.ndarray) -> None:
    import onnxruntime

    model = build_line_network(WIDTHS, seed=2)
    from_line_onnx(content, model, images)
    expected = onnxruntime.InferenceSession(content).run(None, {"images": images})
    for answer, right in zip(model.predict(images, verbose=0), expected, strict=True):
        np.testing.assert_allclose(answer, right, atol=2e-4)


def test_batch_statistics_are_those_of_the_lines(content: bytes, images: np.ndarray) -> None:
    model = build_line_network(WIDTHS, dropout=0.0, seed=2)
    from_line_onnx(content, model, images)
    for answer, right in zip(model(images, training=True), model(images, training=False), strict=True):
        np.testing.assert_allclose(answer, right, atol=2e-3)


def test_a_file_of_another_network_is_refused(content: bytes, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        from_line_onnx(content, build_line_network((4, 6, 8, 10, 14)), images)
