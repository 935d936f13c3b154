"""The ONNX writer compared with Keras: our architectures layer by layer, other networks by Keras' exporter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from export.networks import keras_answers, network, tiny_network, with_random_weights
from mnist_cnn.errors import InputError
from mnist_cnn.reading.metadata import ModelMetadata

if TYPE_CHECKING:
    import keras
    import onnx
    from numpy.typing import NDArray

SMALL: dict[str, dict[str, Any]] = {  # the same layers with few channels
    "conv3": {"filters": (4, 6, 8), "dense": 16},
    "batchnorm": {"filters": (4, 6, 8), "dense": 16},
    "vgg": {"filters": (4, 6, 8)},
    "shallow": {"filters": (4, 6), "dense": 8},
    "resnet": {"stem": 4, "filters": (4, 6, 8), "blocks": 2},
    "light": {},
    "columns": {"vgg": (4, 6), "light": (4, 8, 8)},
    "separable": {},
}


def batch(size: int) -> NDArray[np.float32]:
    """Return real digits, and noise in the second half."""
    from mnist_cnn.datasets import load_dataset

    digits = load_dataset("digits", split="test").images[:size, ..., np.newaxis].astype(np.float32)
    digits[(size + 1) // 2 :] = np.random.default_rng(0).uniform(0, 255, digits[(size + 1) // 2 :].shape)
    return digits


def assert_same(model: keras.Model) -> onnx.ModelProto:
    """Compare the ONNX model with the Keras model at batch sizes 1 and 7, and return it."""
    import onnx
    import onnxruntime

    from mnist_cnn.export.onnx_graph import to_onnx

    content = to_onnx(model)
    session = onnxruntime.InferenceSession(content)
    for size in (1, 7):
        (answers,) = session.run(["probabilities"], {"image": batch(size)})
        np.testing.assert_allclose(answers, keras_answers(model, batch(size)), atol=1e-5)
    return onnx.load_model_from_string(content)


def our_network(architecture: str) -> keras.Model:
    from mnist_cnn.models.architectures import build_model

    return with_random_weights(build_model(architecture, SMALL[architecture], classes=10))


def test_every_architecture_is_written_layer_by_layer_and_answers_as_in_keras() -> None:
    from mnist_cnn.models.architectures import ARCHITECTURES

    for architecture in ARCHITECTURES:
        assert assert_same(our_network(architecture)).producer_name == "mnist-cnn"


def test_a_folded_network_is_written_layer_by_layer() -> None:
    from mnist_cnn.models.folding import fold_batchnorm

    assert assert_same(fold_batchnorm(our_network("separable"))).producer_name == "mnist-cnn"


def test_an_ensemble_is_written_layer_by_layer() -> None:
    from mnist_cnn.models.averaging import average_models

    written = assert_same(average_models([our_network(name) for name in ("light", "vgg", "conv3")]))
    assert written.producer_name == "mnist-cnn"
    assert written.graph.node[-1].op_type == "Mean"


def test_normalisation_and_scaling_are_folded_into_the_convolutions() -> None:
    vgg = assert_same(our_network("vgg"))
    assert Counter(node.op_type for node in vgg.graph.node) == {
        "Reshape": 1, "Conv": 6, "Relu": 6, "MaxPool": 2, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1, "Softmax": 1,
    }  # fmt: skip


def test_a_value_with_two_readers_is_right_for_both() -> None:
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1))
    shared = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(image))
    merged = layers.Add()([shared, layers.BatchNormalization()(shared)])
    flat = layers.GlobalAveragePooling2D()(merged)
    model = with_random_weights(keras.Model(image, layers.Dense(3, activation="softmax")(flat)))
    assert assert_same(model).producer_name == "mnist-cnn"


def separable_and_shared() -> keras.Model:
    """What small networks need: cheap convolutions, and weights that are used several times."""
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(4, 5, strides=2, padding="same")(layers.Rescaling(1 / 255)(image))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, use_bias=False)(x)  # (B, 7, 7, 8)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2, activation="relu")(x)
    again = layers.Conv2D(8, 3, padding="same", use_bias=False)
    for _ in range(3):
        x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(again(x))]))
    normalise = layers.BatchNormalization()
    x = normalise(layers.AveragePooling2D(3, strides=2, padding="same")(normalise(x)))  # (B, 4, 4, 8)
    flat = layers.Flatten()(layers.Dropout(0.1)(layers.AveragePooling2D(2)(x)))
    return with_random_weights(keras.Model(image, layers.Dense(5, activation="softmax")(flat)))


def test_separable_and_shared_convolutions_are_written_layer_by_layer() -> None:
    model = separable_and_shared()
    before = [np.array(each) for each in model.get_weights()]
    written = assert_same(model)
    assert written.producer_name == "mnist-cnn"
    assert Counter(node.op_type for node in written.graph.node)["Conv"] == 4 + 3 + 2  # 2 normalisations stand alone
    np.testing.assert_equal(model.get_weights(), before)


@pytest.mark.parametrize("axis", [-1, 3, 1])
def test_feature_maps_are_concatenated_by_channel_or_by_keras_own_exporter(axis: int) -> None:
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1))
    maps = [layers.Conv2D(filters, 3, activation="relu")(image) for filters in ((2, 5) if axis != 1 else (3, 3))]
    joined = layers.GlobalAveragePooling2D()(layers.Concatenate(axis=axis)(maps))
    model = with_random_weights(keras.Model(image, layers.Dense(3, activation="softmax")(joined)))
    assert (assert_same(model).producer_name == "mnist-cnn") == (axis != 1)


def shared_layers() -> keras.Model:
    """A layer that is called twice, a network within the network, and a scaled image with two readers."""
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1))
    scaled = layers.Rescaling(2 / 255, offset=-1)(image)
    inner = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(2, 3, strides=2, padding="same")], name="inner")
    again = layers.Conv2D(2, 3, padding="same", activation="gelu", name="again")
    x = layers.Concatenate()([again(again(inner(scaled))), layers.AveragePooling2D(2)(scaled)])
    flat = layers.Dense(8, activation="gelu")(layers.GlobalMaxPooling2D()(x))
    return with_random_weights(keras.Model(image, layers.Dense(3, activation="softmax")(flat)))


def sequential() -> keras.Model:
    """Layers that our architectures do not use, among them a distortion that acts while training only."""
    import keras
    from keras import layers

    return with_random_weights(
        keras.Sequential([
            keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.RandomRotation(0.2), layers.GaussianNoise(1.0),
            layers.SeparableConv2D(6, 3, strides=2, padding="same", depth_multiplier=3, activation="silu"),
            layers.LayerNormalization(), layers.PReLU(), layers.Reshape((14, 84)), layers.LSTM(8),
            layers.Dense(4, activation="softmax"),
        ])
    )  # fmt: skip


def inner_gelu_and_statistics() -> keras.Model:
    """What Keras' exporter cannot write by itself: `gelu` in nested models and wrappers, and an adapted mean."""
    import keras
    from keras import layers

    normalise = layers.Normalization()
    normalise.adapt(np.random.default_rng(0).uniform(0, 255, (50, 28, 28, 1)))
    inner = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(2, 3, strides=4, activation="gelu")])
    wrapped = layers.TimeDistributed(layers.Dense(3, activation="gelu"))
    image = keras.Input((28, 28, 1))
    flat = layers.Flatten()(wrapped(inner(normalise(image))))
    return keras.Model(image, layers.Dense(3, activation="softmax")(flat))


@pytest.mark.parametrize("make", [shared_layers, sequential, inner_gelu_and_statistics])
def test_other_networks_are_written_by_the_exporter_of_keras(make: Callable[[], keras.Model]) -> None:
    written = assert_same(make())
    assert written.producer_name == "tf2onnx"
    assert [each.name for each in (*written.graph.input, *written.graph.output)] == ["image", "probabilities"]


@pytest.mark.slow
@settings(max_examples=6)
@given(st.data())
def test_random_stacks_of_our_layers(data: st.DataObject) -> None:
    from keras import layers

    makers: list[Callable[[], Any]] = [
        lambda: layers.Conv2D(
            data.draw(st.integers(1, 3)),
            data.draw(st.integers(1, 4)),
            strides=data.draw(st.integers(1, 2)),
            padding=data.draw(st.sampled_from(["same", "valid"])),
            activation=data.draw(st.sampled_from(["linear", "relu"])),
            use_bias=data.draw(st.booleans()),
        ),
        lambda: layers.DepthwiseConv2D(
            data.draw(st.integers(1, 4)),
            strides=data.draw(st.integers(1, 2)),
            padding=data.draw(st.sampled_from(["same", "valid"])),
            depth_multiplier=data.draw(st.integers(1, 3)),
            use_bias=data.draw(st.booleans()),
        ),
        lambda: layers.SeparableConv2D(
            data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4)), padding="same", activation="relu"
        ),
        lambda: layers.AveragePooling2D(
            data.draw(st.integers(1, 4)), strides=data.draw(st.integers(1, 2)), padding="same"
        ),
        lambda: layers.MaxPooling2D(data.draw(st.integers(1, 4)), strides=data.draw(st.integers(1, 2)), padding="same"),
        lambda: layers.BatchNormalization(center=data.draw(st.booleans()), scale=data.draw(st.booleans())),
        layers.ReLU,
        layers.LeakyReLU,
    ]
    stack = [make() for make in data.draw(st.lists(st.sampled_from(makers), min_size=2, max_size=5))]
    assert assert_same(network(layers.Rescaling(1 / 255), *stack)).producer_name == "mnist-cnn"


def test_the_file_describes_itself_and_old_runtimes_read_it() -> None:
    import onnx
    import onnxruntime

    from mnist_cnn.export.onnx_graph import to_onnx

    metadata = ModelMetadata(("a", "ä"), temperature=1.5, dataset="digits", accuracy=0.5)
    content = to_onnx(tiny_network(), metadata)
    written = onnx.load_model_from_string(content)
    assert [(each.domain, each.version) for each in written.opset_import] == [("", 17)]
    assert written.ir_version == 8
    assert {each.key: each.value for each in written.metadata_props} == metadata.to_strings()
    session = onnxruntime.InferenceSession(content)
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("image", ["batch", 28, 28, 1])]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("probabilities", ["batch", 10])]
    assert session.run(None, {"image": batch(7)[:0]})[0].shape == (0, 10)


def test_a_layer_without_an_onnx_operator_is_refused() -> None:
    import keras
    from keras import layers

    from mnist_cnn.export.onnx_graph import to_onnx

    with pytest.raises(
        InputError, match=r"cannot be written as ONNX \(No Op registered.*: Resizing 'resizing.*--format savedmodel"
    ):
        to_onnx(network(layers.Resizing(14, 14, "lanczos3")))
    image = keras.Input((32, 32, 3))
    with pytest.raises(InputError, match=r"takes \(None, 32, 32, 3\). Valid: \(None, 28, 28, 1\)"):
        to_onnx(keras.Model(image, layers.GlobalAveragePooling2D()(image)))


def test_a_missing_converter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from keras import layers

    from mnist_cnn.export.onnx_graph import to_onnx

    other = network(layers.Activation("leaky_relu"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="'export': tf2onnx is not installed"):
        to_onnx(other)
