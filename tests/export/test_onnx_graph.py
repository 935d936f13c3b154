"""The ONNX writer against Keras: every layer it knows, alone and in random company."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import hypothesis.strategies as st
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from keras import layers
from numpy.typing import NDArray

from export.networks import keras_answers, tiny_network, with_random_weights
from mnist_cnn.datasets import DIGIT_NAMES, load_dataset
from mnist_cnn.errors import InputError
from mnist_cnn.export.onnx_graph import to_onnx
from mnist_cnn.models.architectures import ARCHITECTURES, build_model
from mnist_cnn.reading.metadata import ModelMetadata

SMALL: dict[str, dict[str, Any]] = {  # the same shapes with few channels; the others are small as they are
    "conv3": {"filters": (4, 6, 8), "dense": 16},
    "batchnorm": {"filters": (4, 6, 8), "dense": 16},
    "vgg": {"filters": (4, 6, 8)},
    "resnet": {"stem": 4, "filters": (4, 6, 8), "blocks": 2},
}


def batch(size: int) -> NDArray[np.float32]:
    """Give real digits, and noise in the second half."""
    digits = load_dataset("digits", split="test").images[:size, ..., np.newaxis].astype(np.float32)
    digits[(size + 1) // 2 :] = np.random.default_rng(0).uniform(0, 255, digits[(size + 1) // 2 :].shape)
    return digits


def assert_same(model: keras.Model) -> onnx.ModelProto:
    """Compare the ONNX model with the Keras model at batch 1 and 7."""
    content = to_onnx(model)
    session = onnxruntime.InferenceSession(content)
    for size in (1, 7):
        (answers,) = session.run(["probabilities"], {"image": batch(size)})
        np.testing.assert_allclose(answers, keras_answers(model, batch(size)), atol=1e-5)
    return onnx.load_model_from_string(content)


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def network(*stack: Any, head: bool = True) -> keras.Model:
    """Stack layers on the image; `head` adds what gives probabilities."""
    image = keras.Input((28, 28, 1))
    x = image
    for layer in stack:
        x = layer(x)
    if head:
        x = layers.Flatten()(x) if len(x.shape) > 2 else x
        x = layers.Dense(5, activation="softmax")(x)
    return with_random_weights(keras.Model(image, x))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_answers_as_in_keras(architecture: str) -> None:
    assert_same(with_random_weights(build_model(architecture, SMALL.get(architecture, {}), classes=10)))


def test_normalisation_and_scaling_melt_into_the_convolutions() -> None:
    vgg = assert_same(with_random_weights(build_model("vgg", SMALL["vgg"], classes=10)))
    assert operators(vgg) == {
        "Reshape": 1, "Conv": 6, "Relu": 6, "MaxPool": 2, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1, "Softmax": 1,
    }  # fmt: skip


def test_a_convolution_with_two_readers_is_not_changed_by_the_normalisation_of_one() -> None:
    image = keras.Input((28, 28, 1))
    shared = layers.Conv2D(4, 3)(image)
    merged = layers.Add()([shared, layers.BatchNormalization()(shared)])
    flat = layers.GlobalAveragePooling2D()(merged)
    assert_same(with_random_weights(keras.Model(image, layers.Dense(3, activation="softmax")(flat))))


def test_a_scaled_image_with_two_readers_is_scaled_for_both() -> None:
    image = keras.Input((28, 28, 1))
    scaled = layers.Rescaling(1 / 255)(image)
    merged = layers.Concatenate()([scaled, layers.Conv2D(3, 3, padding="same")(scaled)])
    flat = layers.GlobalMaxPooling2D()(merged)
    assert_same(with_random_weights(keras.Model(image, layers.Dense(3, activation="softmax")(flat))))


@pytest.mark.parametrize(
    "stack",
    [
        [layers.Rescaling(2 / 255, offset=-1), layers.Conv2D(4, 5, strides=2, padding="same"),
         layers.Conv2D(6, 3, dilation_rate=2, padding="same", groups=2), layers.AveragePooling2D(3, 2, padding="same"),
         layers.ReLU(max_value=1.0), layers.BatchNormalization(), layers.BatchNormalization()],
        [layers.Rescaling(1 / 255), layers.ZeroPadding2D(((1, 2), (3, 0))), layers.Conv2D(4, 3),
         layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), layers.BatchNormalization(),
         layers.LeakyReLU(0.3), layers.MaxPooling2D(3, strides=2, padding="same"), layers.GaussianNoise(1.0)],
        [layers.SeparableConv2D(6, 3, strides=2, padding="same", depth_multiplier=3, activation="relu"),
         layers.BatchNormalization(center=False, scale=False), layers.ReLU(negative_slope=0.1),
         layers.GlobalAveragePooling2D(keepdims=True), layers.SpatialDropout2D(0.5)],
        [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(8, activation="relu"), layers.BatchNormalization()],
        [layers.Flatten(), layers.Dense(8, use_bias=False), layers.BatchNormalization(), layers.Softmax()],
    ],
    ids=["strided", "padded", "separable", "dense", "dense-linear"],
)  # fmt: skip
def test_layers_with_their_options(stack: list[Any]) -> None:
    assert_same(network(*stack))


def test_activations_and_merging_layers() -> None:
    names = (
        "elu", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu", "linear", "relu", "relu6", "selu", "sigmoid", "silu",
        "softmax", "softplus", "tanh",
    )  # fmt: skip
    image = keras.Input((28, 28, 1))
    features = layers.Conv2D(2, 7, strides=7)(layers.Rescaling(1 / 64)(image))
    branches = [layers.Activation(name)(features) for name in names]
    merged = [merge()(branches) for merge in (layers.Add, layers.Multiply, layers.Average, layers.Maximum)]
    flat = layers.Flatten()(layers.Concatenate()([*branches, *merged]))
    assert_same(with_random_weights(keras.Model(image, layers.Dense(3, activation="softmax")(flat))))


def test_squeezed_channels_scale_the_picture() -> None:
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    gate = layers.Conv2D(4, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    flat = layers.GlobalAveragePooling2D()(layers.Multiply()([x, gate]))
    assert_same(with_random_weights(keras.Model(image, layers.Dense(3, activation="softmax")(flat))))


def test_layers_that_are_called_twice_and_networks_within_networks() -> None:
    image = keras.Input((28, 28, 1))
    inner = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(2, 3, strides=2, padding="same")], name="inner")
    again = layers.Conv2D(2, 3, padding="same", name="again")
    x = again(again(inner(image)))
    flat = layers.GlobalMaxPooling2D()(layers.Concatenate()([x, inner(image)]))
    assert_same(with_random_weights(keras.Model(image, layers.Dense(3, activation="softmax")(flat))))


def test_sequential_networks() -> None:
    stack = [keras.Input((28, 28, 1)), layers.Conv2D(3, 5), layers.Flatten(), layers.Dense(4, activation="softmax")]
    assert_same(with_random_weights(keras.Sequential(stack)))


CONVOLUTIONS = st.builds(
    partial,
    st.just(layers.Conv2D),
    st.integers(1, 3),
    kernel_size=st.integers(1, 4),
    strides=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]),
    activation=st.sampled_from(["linear", "relu"]),
    use_bias=st.booleans(),
)
POOLS = st.builds(
    partial,
    st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]),
    st.integers(1, 4),
    strides=st.integers(1, 2),
    padding=st.just("same"),
)
OTHERS = st.sampled_from([layers.BatchNormalization, layers.ReLU, partial(layers.Dropout, 0.5)])


@settings(max_examples=8)
@given(st.lists(CONVOLUTIONS | POOLS | OTHERS, min_size=2, max_size=5))
def test_random_stacks(makers: list[Any]) -> None:
    assert_same(network(layers.Rescaling(1 / 255), *(make() for make in makers)))


def test_the_file_names_itself_and_reads_on_old_runtimes() -> None:
    metadata = ModelMetadata(DIGIT_NAMES, temperature=1.5, dataset="digits", accuracy=0.5)
    written = onnx.load_model_from_string(to_onnx(tiny_network(), metadata))
    assert [(each.domain, each.version) for each in written.opset_import] == [("", 17)]
    assert written.ir_version == 8
    assert written.producer_name == "mnist-cnn"
    assert {each.key: each.value for each in written.metadata_props} == metadata.to_strings()
    session = onnxruntime.InferenceSession(to_onnx(tiny_network()))
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("image", ["batch", 28, 28, 1])]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("probabilities", ["batch", 10])]
    assert session.run(None, {"image": batch(7)[:0]})[0].shape == (0, 10)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ([layers.Conv2DTranspose(3, 3, name="up")], "layer 'up' is a Conv2DTranspose.*Supported: Activation, .*Add"),
        ([layers.Conv2D(3, 3, activation="mish", name="odd")], "layer 'odd' has the activation 'mish'.*Supported: elu"),
        ([layers.ReLU(threshold=1.0, name="late")], "layer 'late' has a threshold"),
        ([layers.Dense(3, name="wide")], "layer 'wide' has a picture as input.*put Flatten"),
        ([layers.BatchNormalization(axis=1, name="rows")], r"layer 'rows' has axis=1.*Supported: -1"),
        ([layers.Conv2D(3, 3), layers.Softmax(axis=1, name="rows")], r"layer 'rows' has axis=1"),
    ],
    ids=["kind", "activation", "threshold", "dense", "normalisation", "softmax"],
)
def test_what_cannot_be_written_is_named(stack: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_onnx(network(*stack))


def test_another_input_is_refused() -> None:
    image = keras.Input((32, 32, 3))
    with pytest.raises(InputError, match=r"takes \(None, 32, 32, 3\), expected \(None, 28, 28, 1\)"):
        to_onnx(keras.Model(image, layers.GlobalAveragePooling2D()(image)))
