from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mnist_cnn.config import load_recipe, recipe_names
from mnist_cnn.errors import InputError

if TYPE_CHECKING:
    import keras

TINY: dict[str, dict[str, Any]] = {
    "conv3": {"filters": [4, 8], "dense": 16},
    "batchnorm": {"filters": [4, 8], "dense": 16},
    "vgg": {"filters": [4, 8]},
    "shallow": {"filters": [4, 8], "dense": 8},
    "resnet": {"stem": 4, "filters": [4, 8], "blocks": 1},
    "light": {"filters": [4, 8, 8]},
    "columns": {"vgg": [4, 8], "light": [4, 8, 8]},
    "separable": {"stem": 2, "filters": [3, 4]},
}


def build_model(architecture: str, arguments: dict[str, Any], classes: int, **more: Any) -> keras.Model:
    from mnist_cnn.models import architectures

    return architectures.build_model(architecture, arguments, classes, **more)


def images(count: int = 5) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_states_its_parameters(name: str) -> None:
    recipe = load_recipe(name)
    if recipe.model.init_from:  # its network, whatever the architecture's arguments
        from mnist_cnn.models.persistence import read_model

        model = read_model(Path(recipe.model.init_from)).model
    else:
        model = build_model(recipe.model.architecture, recipe.model.arguments, 10)
        from mnist_cnn.models.folding import as_saved

        model = as_saved(model, recipe.model.fold)
    assert recipe.parameters == model.count_params()
    assert recipe.model.architecture in TINY
    if name in ("conv3", "batchnorm"):  # the notebooks' networks
        assert recipe.parameters == {"conv3": 93_322, "batchnorm": 459_210}[name]


def test_layers_are_called_as_in_a_fresh_keras_however_many_models_came_before() -> None:
    for _ in range(2):
        build_model("vgg", TINY["vgg"], 10)
        assert [layer.name for layer in build_model("conv3", {}, 10).layers] == [
            "image", "rescaling", "conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "conv2d_2",
            "flatten", "dense", "dropout", "dense_1",
        ]  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("architecture", TINY)
def test_grey_levels_become_float32_probabilities_in_any_precision(architecture: str, precision: str) -> None:
    import keras

    before = keras.config.dtype_policy().name
    model = build_model(architecture, TINY[architecture], 7, precision=precision)
    probabilities = np.asarray(model(images()))
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (5, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert probabilities.min() >= 0
    assert np.ptp(probabilities, axis=0).max() > 1e-4, "different images must give different answers"
    assert model.dtype_policy.name == model.layers[2].dtype_policy.name == precision
    assert keras.config.dtype_policy().name == before


def test_scaling_is_part_of_the_model() -> None:
    import keras

    model = build_model("conv3", TINY["conv3"], 10)
    scaled = keras.Model(model.inputs, model.layers[1].output)
    np.testing.assert_allclose(scaled(images()), images() / 255, atol=1e-6)


def test_training_leaves_out_whole_columns() -> None:
    import keras

    model = build_model("columns", TINY["columns"], 10)
    joined = next(layer for layer in model.layers if isinstance(layer, keras.layers.Concatenate))
    columns = keras.Model(model.input, joined.input)
    first, second = (np.asarray(features).any(axis=1) for features in columns(images(200), training=True))
    assert all(0.65 < kept.mean() < 0.85 for kept in (first, second))  # 0.75
    assert not np.array_equal(first, second), "each column must be left out for images of its own"
    assert all(np.asarray(features).any(axis=1).all() for features in columns(images(200)))


def test_the_seed_fixes_the_weights_in_any_precision() -> None:
    variants = ((1, "float32"), (1, "mixed_bfloat16"), (2, "float32"))
    first, again, other = (
        build_model("vgg", TINY["vgg"], 10, seed=seed, precision=precision).get_weights()
        for seed, precision in variants
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("conv4", {}, r"'conv4' is not a known architecture\. Did you mean 'conv3'\? Valid: batchnorm, columns"),
        ("conv3", {"filter": [4]}, r"'conv3' takes no argument 'filter'\. Did you mean 'filters'\?"),
        ("conv3", {"classes": 3}, "takes no argument 'classes'"),
        ("conv3", {"filters": [4] * 6}, r"cannot be built with .*output size would be zero or negative"),
        ("conv3", {"filters": 4}, "not iterable"),
        ("conv3", {"kernel": 0}, "kernel_size"),
        ("vgg", {"depth": 1.5}, "integer"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(architecture: str, arguments: dict[str, Any], message: str) -> None:
    import keras

    before = keras.config.dtype_policy().name
    with pytest.raises(InputError, match=message) as caught:
        build_model(architecture, arguments, 10, precision="mixed_bfloat16")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "Exception encountered" not in str(caught.value)
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize("classes", [0, 1])
def test_fewer_than_two_classes_are_refused(classes: int) -> None:
    with pytest.raises(InputError, match=f"for {classes} classes"):
        build_model("conv3", TINY["conv3"], classes)


@pytest.mark.parametrize("architecture", TINY)
def test_a_saved_model_loads_in_plain_keras_in_safe_mode(tmp_path: Any, architecture: str) -> None:
    import keras

    model = build_model(architecture, TINY[architecture], 10)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(images())), np.asarray(model(images())))
