"""Keras models as in tutorials: any usual input shape, range and output, read as they were trained."""

from __future__ import annotations

import dataclasses
import json
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mnist_cnn.config import ModelConfig
from mnist_cnn.datasets import Dataset, ResolvedDataset, load_dataset
from mnist_cnn.errors import InputError, ModelFileError
from mnist_cnn.export.formats import FORMATS
from mnist_cnn.models.persistence import known_digits_of, open_model, read_model
from mnist_cnn.reading import scaling
from mnist_cnn.reading.recognizer import Recognizer

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from mnist_cnn.export.exporting import Exported

RANGES = dict(zip(["unit", "grey", "signed", "standard"], scaling.CANDIDATES[:4], strict=True))
DIGITS = ResolvedDataset("digits")


@pytest.fixture(scope="module")
def train_digits() -> Dataset:
    return load_dataset("digits", split="train")


@pytest.fixture(scope="module")
def test_digits() -> Dataset:
    return load_dataset("digits", split="test")


def dense(*, shape: tuple[int, ...] = (28, 28, 1), activation: str = "softmax") -> keras.Model:
    """Build the first model of most tutorials."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    hidden = layers.Dense(32, activation="relu")
    return keras.Sequential([keras.Input(shape), layers.Flatten(), hidden, layers.Dense(10, activation=activation)])


def teach(model: keras.Model, digits: Dataset, wanted: scaling.Scaling, epochs: int = 4) -> keras.Model:
    """Train a model on digits in a certain range."""
    import keras

    images = wanted.apply(digits.images).reshape(-1, *model.input_shape[1:])
    activation = model.layers[-1].activation.__name__ if hasattr(model.layers[-1], "activation") else "softmax"
    loss: Any = {
        "softmax": "sparse_categorical_crossentropy",
        "linear": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "sigmoid": "binary_crossentropy",
    }[activation]
    labels = np.eye(10)[digits.labels] if activation == "sigmoid" else digits.labels
    model.compile(keras.optimizers.Adam(1e-3 if wanted.factor == 1 else 3e-3), loss)
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    return model


def original_outputs(model: keras.Model, digits: Dataset, wanted: scaling.Scaling) -> NDArray[np.float32]:
    """Run the original model in the range that it was trained on."""
    images = wanted.apply(digits.images).reshape(-1, *model.input_shape[1:])
    return np.asarray(model.predict(images, verbose=0))


def accuracy_of(answers: NDArray[np.float32], digits: Dataset) -> float:
    return float((answers.argmax(axis=1) == digits.labels).mean())


def outputs(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    from mnist_cnn.evaluation.predictions import predict_images

    return predict_images(model, images)


def exported(path: Path, folder: Path, name: str = "onnx") -> Exported:
    from mnist_cnn.export.exporting import export
    from mnist_cnn.export.original import open_original

    return export(open_original(path, DIGITS), FORMATS[name], folder)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    from mnist_cnn.cli import main

    with pytest.raises(SystemExit) as exit_:
        main([*words, "--json"])
    assert not exit_.value.code
    return dict(json.loads(capsys.readouterr().out))


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("unit", "grey", "standard")]


@pytest.fixture(scope="module", params=["signed", *OTHERS])
def foreign(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, train_digits: Dataset
) -> tuple[Path, scaling.Scaling, Any]:
    wanted = RANGES[request.param]
    model = teach(dense(), train_digits, wanted)
    path = tmp_path_factory.mktemp("foreign") / f"{request.param}.keras"
    model.save(path)
    return path, wanted, model


def test_the_range_that_a_model_was_trained_on_is_found_and_exported(
    foreign: tuple[Path, scaling.Scaling, Any], test_digits: Dataset, tmp_path: Path
) -> None:
    path, wanted, model = foreign
    if not wanted.offset:  # 200 digits are too few to distinguish the rarer ranges
        assert read_model(path).adoption.choice.scaling == wanted
    opened = read_model(path, known=partial(known_digits_of, DIGITS))
    assert (opened.adoption.choice.scaling, opened.adoption.choice.origin) == (wanted, "tried")
    assert str(wanted) in opened.adoption.remarks[0]
    expected = original_outputs(model, test_digits, wanted)
    np.testing.assert_allclose(outputs(opened.model, test_digits.images), expected, atol=1e-4)
    onnx = exported(path, tmp_path)
    assert onnx.agreement.accuracy == accuracy_of(expected, test_digits)
    scores = Recognizer.load(onnx.path).network.scores(test_digits.images, threads=1)
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_our_export_of_a_foreign_model_declares_its_range(
    train_digits: Dataset, test_digits: Dataset, tmp_path: Path
) -> None:
    teach(dense(shape=(28, 28)), train_digits, scaling.UNIT, epochs=2).save(tmp_path / "foreign.keras")
    again = read_model(exported(tmp_path / "foreign.keras", tmp_path, "keras").path)
    assert again.adoption.remarks == ()
    first = read_model(tmp_path / "foreign.keras")
    assert [type(layer).__name__ for layer in first.model.layers][:3] == ["InputLayer", "Rescaling", "Reshape"]
    images = test_digits.images[:20]
    np.testing.assert_allclose(outputs(again.model, images), outputs(first.model, images), atol=1e-5)


@pytest.mark.slow
def test_the_commands_report_their_choice_and_accept_a_scale(
    train_digits: Dataset, test_digits: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed, odd = RANGES["signed"], scaling.Scaling(1 / 16)  # a usual range, and one that is never tried
    for wanted, more in ((signed, []), (odd, ["--scale", "0.0625"])):
        path = tmp_path / f"{wanted.factor}.keras"
        model = teach(dense(), train_digits, wanted)
        model.save(path)
        accuracy = accuracy_of(original_outputs(model, test_digits, wanted), test_digits)
        record = call(capsys, "evaluate", str(path), "--dataset", "digits", "--output", str(tmp_path / "report"), *more)
        assert record["accuracy"] == pytest.approx(accuracy)
        assert record["scaling"]["factor"] == wanted.factor
        assert record["scaling"]["origin"] == ("user" if more else "tried")
        for page in ("report.html", "README.md"):
            assert f"scaled to {wanted}" in (tmp_path / "report" / page).read_text(encoding="utf-8")
        record = call(capsys, "export", str(path), "--dataset", "digits", "--output", str(tmp_path), *more)
        assert record["exports"][0]["accuracy"] == pytest.approx(accuracy)
        assert any(f"scaled to {wanted}" in remark for remark in record["remarks"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "suffix"), [((784,), ".h5"), ((28, 28, 1), ".keras"), ((28, 28), ".keras"), ((1, 28, 28), ".h5")], ids=str
)
def test_every_usual_shape_is_read_and_exported(
    shape: tuple[int, ...], suffix: str, train_digits: Dataset, test_digits: Dataset, tmp_path: Path
) -> None:
    model = teach(dense(shape=shape), train_digits, scaling.UNIT)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    expected = original_outputs(model, test_digits, scaling.UNIT)
    opened = read_model(path)
    assert opened.model.input_shape == (None, 28, 28, 1)
    np.testing.assert_allclose(outputs(opened.model, test_digits.images), expected, atol=1e-4)
    exported(path, tmp_path)


@pytest.mark.parametrize("activation", [pytest.param("linear", marks=pytest.mark.slow), "sigmoid"])
def test_other_outputs_become_probabilities(
    activation: str, train_digits: Dataset, test_digits: Dataset, tmp_path: Path
) -> None:
    model = teach(dense(activation=activation), train_digits, scaling.UNIT)
    model.save(tmp_path / "model.keras")
    scores = original_outputs(model, test_digits, scaling.UNIT)
    powers = np.exp(scores) if activation == "linear" else scores / (1 - scores)
    opened = read_model(tmp_path / "model.keras", known=partial(known_digits_of, DIGITS))
    assert "softmax" in opened.adoption.remarks[1]
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs(opened.model, test_digits.images), expected, atol=1e-3)
    onnx = exported(tmp_path / "model.keras", tmp_path)
    assert onnx.agreement.accuracy == pytest.approx(accuracy_of(scores, test_digits))


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_model_that_scales_by_itself_is_believed(
    is_nested: bool, tmp_path: Path, test_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    from keras import layers

    monkeypatch.setattr("mnist_cnn.models.persistence.choose", lambda *_: pytest.fail("ranges were tried"))
    scaled = [layers.RandomRotation(0.1), layers.Rescaling(1 / 127.5, -1)]
    first = [keras.Sequential(scaled)] if is_nested else scaled
    model = keras.Sequential([keras.Input((28, 28, 1)), *first, dense()])
    model.save(tmp_path / "model.keras")
    opened = read_model(tmp_path / "model.keras")
    assert opened.adoption.remarks == ()
    expected = model.predict(test_digits.images[:9, ..., None], verbose=0)
    np.testing.assert_allclose(outputs(opened.model, test_digits.images[:9]), expected, atol=1e-5)
    with pytest.raises(InputError, match="Leave out --scale"):
        read_model(tmp_path / "model.keras", scale=1)


def test_if_no_range_works_the_commands_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mnist_cnn.cli import main

    path = tmp_path / "untrained.keras"
    dense().save(path)
    for command in ("evaluate", "export"):
        with pytest.raises(SystemExit) as exit_:
            main([command, str(path), "--dataset", "digits"])
        assert exit_.value.code == 2
        said = capsys.readouterr().err.replace("\n", " ")
        assert "none of the usual ranges" in said
        assert "--scale 1 " in said
    with pytest.warns(UserWarning, match=r"0 … 1 is assumed"):
        open_model(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="because the scale is 2"):
            open_model(path, scale=2)
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="scale = "):
            open_model(path, scale=scale)


def test_the_test_set_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    load = ResolvedDataset.load

    def watched(self: ResolvedDataset, split: str, **more: Any) -> Dataset:
        asked.append(split)
        return load(self, split, **more)

    monkeypatch.setattr(ResolvedDataset, "load", watched)
    dense().save(tmp_path / "model.keras")
    read_model(tmp_path / "model.keras", known=partial(known_digits_of, DIGITS))
    assert asked == ["train"]


def test_the_bundled_digits_are_training_digits(train_digits: Dataset, test_digits: Dataset) -> None:
    known = scaling.bundled_digits()
    assert np.bincount(known.labels).tolist() == [20] * 10
    label_of = {image.tobytes(): label for image, label in zip(train_digits.images, train_digits.labels, strict=True)}
    assert [label_of[image.tobytes()] for image in known.images] == known.labels.tolist()
    assert not {image.tobytes() for image in test_digits.images} & {image.tobytes() for image in known.images}


@pytest.mark.parametrize("wanted", scaling.CANDIDATES[4:], ids=str)
def test_a_network_for_dark_ink_on_light_paper_is_recognised(wanted: scaling.Scaling) -> None:
    shipped, known = Recognizer.load().network, scaling.bundled_digits()

    def ask(tried: scaling.Scaling) -> NDArray[np.float32]:
        grey = (tried.apply(known.images) - wanted.offset) / wanted.factor  # how the network interprets its input
        return shipped.scores(np.clip(np.rint(grey), 0, 255).astype(np.uint8), threads=1)

    choice = scaling.choose(ask, known)
    assert (choice.scaling, choice.origin) == (wanted, "tried")


def test_for_other_classes_than_the_digits_the_data_set_is_used(train_digits: Dataset, tmp_path: Path) -> None:
    """The labels of the bundled digits mean nothing to a model with other classes."""
    turned = dataclasses.replace(train_digits, labels=(train_digits.labels + 3) % 10)
    path = tmp_path / "turned.keras"
    teach(dense(), turned, scaling.UNIT).save(path)
    assert read_model(path).adoption.choice.origin == "assumed"

    class Turned(ResolvedDataset):
        def load(self, split: str, **_: Any) -> Dataset:
            return turned

    choice = read_model(path, known=partial(known_digits_of, Turned("turned"))).adoption.choice
    assert (choice.scaling, choice.origin) == (scaling.UNIT, "tried")


def test_training_starts_from_a_foreign_model_with_its_range_inside(train_digits: Dataset, tmp_path: Path) -> None:
    """Also with folders 1 … 9: their labels are 0 … 8, but a model of ten classes calls them 1 … 9."""
    from mnist_cnn.training.transfer import adapt_model, open_start

    wanted, path = RANGES["grey"], tmp_path / "grey.keras"
    teach(dense(), train_digits, wanted).save(path)
    kept = train_digits.subset(np.flatnonzero(train_digits.labels > 0))
    few = dataclasses.replace(kept, labels=kept.labels - 1, class_names=tuple("123456789"))
    start = open_start(ModelConfig(init_from=str(path)), few, print)
    assert start.layers[1].scale == pytest.approx(wanted.factor)
    for classes in (10, 4):
        adapted = adapt_model(start, classes, ModelConfig(), seed=0)
        kinds = [type(layer).__name__ for layer in adapted.layers]
        assert kinds == ["InputLayer", "Rescaling", "Flatten", "Dense", "Dense"]
        assert adapted.output_shape == (None, classes)
        assert all(layer.trainable for layer in adapted.layers)


def test_adapted_statistics_are_kept() -> None:
    import keras
    from keras import layers

    from mnist_cnn.models.foreign import rebuild

    images = np.random.default_rng(0).uniform(0, 255, (50, 28, 28, 1))
    normalise = layers.Normalization()
    normalise.adapt(images)
    model = keras.Sequential([keras.Input((28, 28, 1)), normalise, layers.Flatten(), layers.Dense(10)])
    again = keras.models.clone_model(rebuild(model))
    again.set_weights(model.layers[-1].get_weights())
    np.testing.assert_allclose(again(images), model(images), atol=1e-4)


def nested(*, scales: bool = False) -> keras.Model:
    """Build a model as in tutorials on augmentation: models nested two deep, with duplicate layer names."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    distorted = keras.Sequential([layers.RandomRotation(0.02)], name="augmentation")
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(8, 5, strides=3, name="convolution")(image)
    left = layers.Conv2D(8, 3, padding="same", name="left")(x)
    right = keras.Sequential([layers.Conv2D(8, 1, name="convolution")], name="right")(x)  # branches of unequal depth
    x = layers.BatchNormalization(name="normalisation")(layers.Add()([left, right]))
    x = layers.Flatten()(layers.ReLU()(x))
    cnn = keras.Model(image, layers.Dense(10, activation="softmax", name="scores")(x), name="cnn")
    first = [layers.Rescaling(1 / 255)] if scales else []
    return keras.Sequential([keras.Input((28, 28, 1)), *first, distorted, cnn])


@pytest.mark.parametrize("scales", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_nested_models_are_unpacked(scales: bool, train_digits: Dataset, test_digits: Dataset, tmp_path: Path) -> None:
    import keras

    from mnist_cnn.training.batch_statistics import measure_statistics
    from mnist_cnn.training.transfer import adapt_model

    wanted = scaling.GREY_LEVELS if scales else scaling.UNIT
    model = nested(scales=scales)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(wanted.apply(train_digits.images)[..., None], train_digits.labels, epochs=4, verbose=0)
    path = tmp_path / "nested.keras"
    model.save(path)
    expected = original_outputs(model, test_digits, wanted)
    opened = read_model(path, known=partial(known_digits_of, DIGITS)).model
    assert not any(isinstance(layer, keras.Model) for layer in opened.layers)
    np.testing.assert_allclose(outputs(opened, test_digits.images), expected, atol=1e-4)
    for classes in (10, 4):
        adapted = adapt_model(opened, classes, ModelConfig(freeze="features"), seed=0)
        assert adapted.output_shape == (None, classes)
        assert len(adapted.trainable_weights) == 2  # of the classifier
        adapted = adapt_model(opened, classes, ModelConfig(), seed=0)
        normalisation = adapted.get_layer("normalisation")
        before = normalisation.get_weights()[2]
        measure_statistics(adapted, test_digits.images[:200, ..., None])
        assert np.abs(normalisation.get_weights()[2] - before).max() > 0
    adapted.save(tmp_path / "again.keras")
    said = outputs(open_model(tmp_path / "again.keras"), test_digits.images[:9])
    np.testing.assert_allclose(said, outputs(adapted, test_digits.images[:9]), atol=1e-5)


@pytest.mark.parametrize(("depth", "suffix"), [(1, ".h5"), (3, ".keras")])
def test_a_nested_model_may_contain_the_output_layer(depth: int, suffix: str, tmp_path: Path) -> None:
    import keras
    from keras import layers

    from mnist_cnn.training.transfer import adapt_model

    model = dense()
    for _ in range(depth):
        model = keras.Sequential([keras.Input((28, 28, 1)), layers.GaussianNoise(0.1, name="noise"), model])
    model.save(tmp_path / f"model{suffix}")
    opened = read_model(tmp_path / f"model{suffix}", scale=1).model
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    expected = model.predict(images[..., None], verbose=0)
    np.testing.assert_allclose(outputs(opened, images), expected, rtol=1e-4, atol=1e-6)
    adapted = adapt_model(opened, 4, ModelConfig(), seed=0)
    kinds = ["InputLayer", "Rescaling", *["GaussianNoise"] * depth, "Flatten", "Dense", "Dense"]
    assert [type(layer).__name__ for layer in adapted.layers] == kinds
    assert adapted.output_shape == (None, 4)


def test_a_model_that_does_not_run_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("this backend cannot\ncompute it")

    dense().save(tmp_path / "model.keras")
    monkeypatch.setattr("mnist_cnn.models.foreign.rebuild", fail)
    with pytest.raises(ModelFileError, match=r"cannot be run on 28×28 digits \(this backend cannot\)"):
        read_model(tmp_path / "model.keras")
