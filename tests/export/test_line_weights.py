"""Training can go on from an ONNX file: the network computes the same, with batch statistics that are true."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from mnist_cnn.export.line_graph import to_line_onnx
from mnist_cnn.export.line_weights import average_line_onnx, from_line_onnx
from mnist_cnn.models.backend import layers
from mnist_cnn.models.fully_convolutional import build_line_network
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata

WIDTHS = (4, 6, 8, 10, 12)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((8, 32, 64, 1), np.float32)


@pytest.fixture(scope="module")
def content() -> bytes:
    return made(1)


def made(seed: int) -> bytes:
    """A file of a network whose normalisations do something."""
    model, random = build_line_network(WIDTHS, seed=seed), np.random.default_rng(seed)
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


def test_an_average_has_the_mean_of_all_weights(content: bytes) -> None:
    other = made(3)
    found = weights_of(average_line_onnx([content, other], [0.75, 0.25]))
    first, second = weights_of(content), weights_of(other)
    assert len(found) > 10
    for name, weight in found.items():
        np.testing.assert_allclose(weight, 0.75 * first[name] + 0.25 * second[name], rtol=1e-3, atol=1e-3)
    larger = to_line_onnx(build_line_network((4, 6, 8, 10, 14)), NumberMetadata(()))
    with pytest.raises(ValueError, match="other weights"):
        average_line_onnx([content, larger], [0.5, 0.5])


def weights_of(content: bytes) -> dict[str, NDArray[np.float32]]:
    tensors = onnx.load_model_from_string(content).graph.initializer
    stored = {each.name: numpy_helper.to_array(each) for each in tensors}
    return {name: each.astype(np.float32) for name, each in stored.items() if each.dtype.kind == "f"}
