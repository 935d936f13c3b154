"""Keras models as tutorials leave them: of any usual input shape, range and output, read as they were trained."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from mnist_cnn.cli.app import main
from mnist_cnn.config import ModelConfig
from mnist_cnn.datasets import Dataset, ResolvedDataset, load_dataset
from mnist_cnn.errors import InputError, ModelFileError
from mnist_cnn.evaluation.predictions import predict, predict_images
from mnist_cnn.export.exporting import export
from mnist_cnn.export.formats import FORMATS
from mnist_cnn.export.original import open_original
from mnist_cnn.models.persistence import OpenedModel, known_digits_of, open_model, read_model
from mnist_cnn.reading import scaling
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.training.batch_statistics import measure_statistics
from mnist_cnn.training.transfer import adapt_model, open_start

RANGES: dict[str, scaling.Scaling] = dict(
    zip(["unit", "grey", "signed", "standard"], scaling.CANDIDATES[:4], strict=True)
)
DIGITS = ResolvedDataset("digits")
SHAPES = [(28, 28, 1), (28, 28), (784,), (1, 28, 28)]


@pytest.fixture(scope="session")
def train_digits() -> Dataset:
    return load_dataset("digits", split="train")


@pytest.fixture(scope="session")
def test_digits() -> Dataset:
    return load_dataset("digits", split="test")


def dense(*, shape: tuple[int, ...] = (28, 28, 1), activation: str = "softmax") -> keras.Model:
    """Build what most tutorials begin with."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10, activation=activation),
        ]
    )


def convolutional() -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((28, 28))
    x = layers.Reshape((28, 28, 1))(image)
    x = layers.MaxPooling2D(2)(layers.Conv2D(6, 5, strides=2, activation="relu")(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.Dropout(0.2)(layers.Flatten()(x))))


def teach(model: keras.Model, digits: Dataset, wanted: scaling.Scaling, epochs: int = 8) -> keras.Model:
    """Train a model on digits in the range that it is to want."""
    images = wanted.apply(digits.images).reshape(-1, *model.input_shape[1:])
    activation = model.layers[-1].activation.__name__
    loss: Any = {
        "softmax": "sparse_categorical_crossentropy",
        "linear": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "sigmoid": "binary_crossentropy",
    }[activation]
    labels = np.eye(10)[digits.labels] if activation == "sigmoid" else digits.labels
    model.compile(keras.optimizers.Adam(1e-3 if wanted.factor == 1 else 3e-3), loss)
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    return model


def shares_right(model: keras.Model, digits: Dataset, wanted: scaling.Scaling) -> tuple[float, NDArray[np.float32]]:
    """Ask the original in the range that it was trained on: its accuracy, and its answers."""
    images = wanted.apply(digits.images).reshape(-1, *model.input_shape[1:])
    answers = np.asarray(model.predict(images, verbose=0))
    return float((answers.argmax(axis=1) == digits.labels).mean()), answers


@pytest.fixture(scope="session", params=list(RANGES))
def foreign(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, train_digits: Dataset
) -> tuple[Path, scaling.Scaling, keras.Model]:
    wanted = RANGES[request.param]
    model = teach(dense(), train_digits, wanted)
    path = tmp_path_factory.mktemp("foreign") / f"{request.param}.keras"
    model.save(path)
    return path, wanted, model


@pytest.mark.parametrize("data", [None, DIGITS])
def test_the_range_that_a_model_was_trained_on_is_found(
    foreign: tuple[Path, scaling.Scaling, keras.Model], test_digits: Dataset, data: ResolvedDataset | None
) -> None:
    path, wanted, model = foreign
    if wanted.offset and data is None:
        pytest.skip("200 digits are too few to tell the rarer ranges from the usual ones")
    opened = read_model(path, known=partial(known_digits_of, data) if data else scaling.bundled_digits)
    assert opened.adoption.choice.scaling == wanted
    assert opened.adoption.choice.origin == "tried"
    assert str(wanted) in opened.adoption.remarks[0]
    _, expected = shares_right(model, test_digits, wanted)
    np.testing.assert_allclose(predict_images(opened.model, test_digits.images), expected, atol=1e-4)


def test_what_is_exported_takes_raw_grey_levels(
    foreign: tuple[Path, scaling.Scaling, keras.Model], test_digits: Dataset, tmp_path: Path
) -> None:
    path, wanted, model = foreign
    share, expected = shares_right(model, test_digits, wanted)
    original = open_original(path, DIGITS)
    exported = export(original, FORMATS["onnx"], tmp_path)
    assert exported.agreement.accuracy == share
    recognizer = Recognizer.load(exported.path)
    np.testing.assert_allclose(recognizer.network.scores(test_digits.images, threads=1), expected, atol=1e-4)
    export(original, FORMATS["keras"], tmp_path)
    again = read_model(tmp_path / "model.keras")
    assert again.adoption.remarks == ()  # what we wrote says itself what it wants
    np.testing.assert_allclose(predict_images(again.model, test_digits.images), expected, atol=1e-4)


def test_the_commands_say_what_they_chose(
    foreign: tuple[Path, scaling.Scaling, keras.Model],
    test_digits: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, wanted, model = foreign
    share, _ = shares_right(model, test_digits, wanted)
    record = call(capsys, "evaluate", str(path), "--dataset", "digits", "--output", str(tmp_path / "report"))
    assert record["accuracy"] == pytest.approx(share)
    assert record["scaling"]["factor"] == wanted.factor
    assert record["scaling"]["origin"] == "tried"
    for page in ("report.html", "README.md"):
        assert f"brought to {wanted}" in (tmp_path / "report" / page).read_text(encoding="utf-8")
    record = call(capsys, "export", str(path), "--dataset", "digits", "--output", str(tmp_path))
    assert record["exports"][0]["accuracy"] == pytest.approx(share)
    assert record["scaling"]["range"] == str(wanted)
    assert any(f"brought to {wanted}" in remark for remark in record["remarks"])


def test_the_commands_take_a_scale(
    train_digits: Dataset, test_digits: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that no one would try."""
    wanted = scaling.Scaling(1 / 16)
    model = teach(dense(), train_digits, wanted)
    path = tmp_path / "odd.keras"
    model.save(path)
    share, _ = shares_right(model, test_digits, wanted)
    record = call(capsys, "evaluate", str(path), "--dataset", "digits", "--scale", "0.0625")
    assert record["accuracy"] == pytest.approx(share)
    assert record["scaling"]["origin"] == "user"
    record = call(capsys, "export", str(path), "--dataset", "digits", "--scale", "0.0625")
    assert record["exports"][0]["accuracy"] == pytest.approx(share)
    assert "0 … 15.94" in record["remarks"][0]
    Recognizer.load(Path(record["exports"][0]["path"]))


def call(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--json"])
    assert not exit_.value.code
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_every_usual_shape_is_read_and_exported(
    shape: tuple[int, ...], suffix: str, train_digits: Dataset, test_digits: Dataset, tmp_path: Path
) -> None:
    model = teach(dense(shape=shape), train_digits, scaling.UNIT, epochs=3)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    _, expected = shares_right(model, test_digits, scaling.UNIT)
    opened = read_model(path)
    assert opened.model.input_shape == (None, 28, 28, 1)
    np.testing.assert_allclose(predict_images(opened.model, test_digits.images), expected, atol=1e-4)
    export(open_original(path, DIGITS), FORMATS["onnx"], tmp_path)


def test_a_functional_model_with_shapes_of_its_own(train_digits: Dataset, test_digits: Dataset, tmp_path: Path) -> None:
    model = teach(convolutional(), train_digits, scaling.UNIT, epochs=4)
    model.save(tmp_path / "model.keras")
    _, expected = shares_right(model, test_digits, scaling.UNIT)
    opened = read_model(tmp_path / "model.keras")
    assert opened.adoption.choice.scaling == scaling.UNIT
    assert [type(layer).__name__ for layer in opened.model.layers][:4] == [
        "InputLayer",
        "Rescaling",
        "Reshape",
        "Reshape",
    ]
    np.testing.assert_allclose(predict_images(opened.model, test_digits.images), expected, atol=1e-4)
    export(open_original(tmp_path / "model.keras", DIGITS), FORMATS["onnx"], tmp_path)


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
def test_other_outputs_become_probabilities(
    activation: str, train_digits: Dataset, test_digits: Dataset, tmp_path: Path
) -> None:
    model = teach(dense(activation=activation), train_digits, scaling.UNIT)
    model.save(tmp_path / "model.keras")
    _, scores = shares_right(model, test_digits, scaling.UNIT)
    powers = np.exp(scores) if activation == "linear" else scores / (1 - scores)
    opened = read_model(tmp_path / "model.keras", known=partial(known_digits_of, DIGITS))
    assert opened.adoption.choice.scaling == scaling.UNIT
    assert "softmax" in opened.adoption.remarks[1]
    said = predict(opened.model, test_digits)
    np.testing.assert_allclose(said.probabilities, powers / powers.sum(axis=1, keepdims=True), atol=1e-3)
    exported = export(open_original(tmp_path / "model.keras", DIGITS), FORMATS["onnx"], tmp_path)
    assert exported.agreement.accuracy == pytest.approx((scores.argmax(axis=1) == test_digits.labels).mean())


def with_rescaling(*before: Any) -> keras.Model:
    stack = [*before, layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((28, 28, 1)), *stack])


@pytest.mark.parametrize(
    "make",
    [
        with_rescaling,
        lambda: with_rescaling(layers.RandomRotation(0.1), layers.RandomZoom(0.1)),
        lambda: keras.Sequential(
            [keras.Input((28, 28, 1)), keras.Sequential([layers.Rescaling(1 / 127.5, -1)]), dense()]
        ),
    ],
    ids=["first", "after distortions", "in a model inside"],
)
def test_a_model_that_scales_by_itself_is_believed(
    make: Callable[[], keras.Model], tmp_path: Path, test_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_cnn.models.persistence.choose", lambda *_: pytest.fail("it was asked"))
    model = make()
    model.save(tmp_path / "model.keras")
    opened = read_model(tmp_path / "model.keras")
    assert opened.adoption.remarks == ()
    expected = model.predict(test_digits.images[:9, ..., None], verbose=0)
    np.testing.assert_allclose(predict_images(opened.model, test_digits.images[:9]), expected, atol=1e-5)
    with pytest.raises(InputError, match="Leave out the scale"):
        read_model(tmp_path / "model.keras", scale=1)


def test_where_no_range_is_read_the_commands_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        with pytest.raises(UserWarning, match="as the scale 2 says"):
            open_model(path, scale=2)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_scale_is_refused(scale: float, tmp_path: Path) -> None:
    dense().save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="scale = "):
        open_model(tmp_path / "model.keras", scale=scale)


def test_the_test_set_is_never_asked(
    foreign: tuple[Path, scaling.Scaling, keras.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    load = ResolvedDataset.load

    def watched(self: ResolvedDataset, split: str, **more: Any) -> Dataset:
        asked.append(split)
        return load(self, split, **more)

    monkeypatch.setattr(ResolvedDataset, "load", watched)
    read_model(foreign[0], known=partial(known_digits_of, DIGITS))
    assert asked == ["train"]


def test_the_bundled_digits_are_of_the_part_that_is_trained_on(train_digits: Dataset, test_digits: Dataset) -> None:
    known = scaling.bundled_digits()
    assert np.bincount(known.labels).tolist() == [20] * 10
    label_of = {image.tobytes(): label for image, label in zip(train_digits.images, train_digits.labels, strict=True)}
    assert [label_of[image.tobytes()] for image in known.images] == known.labels.tolist()
    assert not {image.tobytes() for image in test_digits.images} & {image.tobytes() for image in known.images}


@pytest.mark.parametrize("wanted", scaling.CANDIDATES[4:], ids=str)
def test_a_network_that_wants_dark_ink_on_light_paper_is_recognised(wanted: scaling.Scaling) -> None:
    shipped = open_model(Path("digits"))

    def ask(tried: scaling.Scaling, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        grey = (tried.apply(images) - wanted.offset) / wanted.factor  # what the network makes of what it is given
        return predict_images(shipped, np.clip(np.rint(grey), 0, 255).astype(np.uint8))

    choice = scaling.choose(ask, scaling.bundled_digits())
    assert (choice.scaling, choice.origin) == (wanted, "tried")


def test_other_classes_than_the_digits_use_the_data_set(
    train_digits: Dataset, test_digits: Dataset, tmp_path: Path
) -> None:
    """The labels of the bundled digits mean nothing to a model whose classes are others."""
    turned = dataclasses.replace(train_digits, labels=(train_digits.labels + 3) % 10)
    model = teach(dense(), turned, scaling.UNIT)
    path = tmp_path / "turned.keras"
    model.save(path)
    assert read_model(path).adoption.choice.origin == "assumed"

    class Turned(ResolvedDataset):
        def load(self, split: str, **_: Any) -> Dataset:
            return turned if split == "train" else test_digits

    opened: OpenedModel = read_model(path, known=partial(known_digits_of, Turned("turned")))
    assert (opened.adoption.choice.scaling, opened.adoption.choice.origin) == (scaling.UNIT, "tried")


def test_data_with_some_of_the_digits_show_the_range_too(
    foreign: tuple[Path, scaling.Scaling, keras.Model], train_digits: Dataset
) -> None:
    """Folders 1 … 9, say: their labels are 0 … 8, but a model of ten classes calls them 1 … 9."""
    path, wanted, _ = foreign
    kept = train_digits.subset(np.flatnonzero(train_digits.labels > 0))
    few = dataclasses.replace(kept, labels=kept.labels - 1, class_names=tuple("123456789"))

    class Few(ResolvedDataset):
        def load(self, split: str, **_: Any) -> Dataset:
            return few

    choice = read_model(path, known=partial(known_digits_of, Few("few"))).adoption.choice
    assert (choice.scaling, choice.origin) == (wanted, "tried")
    assert open_start(ModelConfig(init_from=str(path)), few, print).layers[1].scale == pytest.approx(wanted.factor)


def nested(*, scales: bool = False) -> keras.Model:
    """Build what tutorials on augmentation end with: models inside a model, here two deep, with names that clash."""
    keras.utils.set_random_seed(1)
    distorted = keras.Sequential([layers.RandomRotation(0.02)], name="augmentation")
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(8, 5, strides=3, name="convolution")(image)
    left = layers.Conv2D(8, 3, padding="same", name="left")(x)
    right = keras.Sequential([layers.Conv2D(8, 1, name="convolution")], name="right")(x)  # branches of unlike depth
    x = layers.BatchNormalization(name="normalisation")(layers.Add()([left, right]))
    x = layers.Flatten()(layers.ReLU()(x))
    cnn = keras.Model(image, layers.Dense(10, activation="softmax", name="scores")(x), name="cnn")
    first = [layers.Rescaling(1 / 255)] if scales else []
    return keras.Sequential([keras.Input((28, 28, 1)), *first, distorted, cnn])


@pytest.mark.parametrize("scales", [False, True])
def test_models_inside_a_model_are_opened(
    scales: bool, train_digits: Dataset, test_digits: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, wanted = nested(scales=scales), scaling.GREY_LEVELS if scales else scaling.UNIT
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(wanted.apply(train_digits.images)[..., None], train_digits.labels, epochs=4, verbose=0)
    path = tmp_path / "nested.keras"
    model.save(path)
    share, expected = shares_right(model, test_digits, wanted)
    record = call(capsys, "evaluate", str(path), "--dataset", "digits")
    assert record["accuracy"] == pytest.approx(share)
    opened = read_model(path, known=partial(known_digits_of, DIGITS)).model
    assert not any(isinstance(layer, keras.Model) for layer in opened.layers)
    np.testing.assert_allclose(predict_images(opened, test_digits.images), expected, atol=1e-4)
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
    said = predict_images(open_model(tmp_path / "again.keras"), test_digits.images[:9])
    np.testing.assert_allclose(said, predict_images(adapted, test_digits.images[:9]), atol=1e-5)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_model_inside_may_hold_the_output_layer(depth: int, suffix: str, tmp_path: Path) -> None:
    model = dense()
    for _ in range(depth):
        model = keras.Sequential([keras.Input((28, 28, 1)), layers.GaussianNoise(0.1, name="noise"), model])
    model.save(tmp_path / f"model{suffix}")
    opened = read_model(tmp_path / f"model{suffix}", scale=1).model
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    np.testing.assert_allclose(
        predict_images(opened, images), model.predict(images[..., None], verbose=0), rtol=1e-4, atol=1e-6
    )
    kinds = ["InputLayer", "Rescaling", *["GaussianNoise"] * depth, "Flatten", "Dense", "Dense"]
    for classes in (10, 4):
        adapted = adapt_model(opened, classes, ModelConfig(), seed=0)
        assert adapted.output_shape == (None, classes)
        assert [type(layer).__name__ for layer in adapted.layers] == kinds


def test_a_model_that_does_not_run_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("this backend cannot\ncompute it")

    dense().save(tmp_path / "model.keras")
    monkeypatch.setattr("mnist_cnn.models.foreign.rebuild", fail)
    with pytest.raises(ModelFileError, match=r"cannot be run on 28×28 digits \(this backend cannot\)"):
        read_model(tmp_path / "model.keras")


@pytest.mark.parametrize("classes", [10, 4])
@pytest.mark.filterwarnings("ignore:.*grey levels are brought to:UserWarning")
def test_training_starts_from_a_foreign_model_with_its_range_inside(
    foreign: tuple[Path, scaling.Scaling, keras.Model], classes: int
) -> None:
    path, wanted, _ = foreign
    adapted = adapt_model(open_model(path, scale=wanted.factor), classes, ModelConfig(), seed=0)
    assert [type(layer).__name__ for layer in adapted.layers] == [
        "InputLayer",
        "Rescaling",
        "Flatten",
        "Dense",
        "Dense",
    ]
    assert adapted.layers[1].scale == wanted.factor
    assert adapted.output_shape == (None, classes)
    assert all(layer.trainable for layer in adapted.layers)
