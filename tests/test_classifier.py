"""The scikit-learn estimator: scikit-learn's own checks, and typical uses."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split

from mnist_cnn import classifier as classifier_module
from mnist_cnn.classifier import DigitClassifier
from mnist_cnn.datasets import load_dataset
from mnist_cnn.environment.installation import install_command
from mnist_cnn.errors import InputError, MissingExtraError
from mnist_cnn.reading.metadata import ModelMetadata

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# A network of a few hundred weights without distortions: a fit takes a second, mostly for TensorFlow's tracing.
TINY = {
    "model.architecture": "conv3",
    "model.arguments": {"filters": [4], "dense": 16, "dropout": 0.0},
    "optimizer.name": "adam",
    "optimizer.weight_decay": 0.0,
    "optimizer.learning_rate": 1e-2,
    "optimizer.ema": 0.0,
    "training.batch_size": 10,
    "training.precision": "float32",
    **{f"augmentation.{name}": 0.0 for name in ("rotation", "shift", "zoom", "shear", "elastic")},
}
DIGITS, LABELS = load_digits(return_X_y=True)  # float64 [1797, 64], 0 … 16


def tiny(**parameters: Any) -> DigitClassifier:
    return DigitClassifier("small", **{"epochs": 4, "settings": TINY, **parameters})


@pytest.fixture(scope="module")
def split() -> list[NDArray[Any]]:
    """Training images, test images, training labels, test labels."""
    parts: list[NDArray[Any]] = train_test_split(DIGITS, LABELS, test_size=0.25, stratify=LABELS, random_state=0)
    return parts


@pytest.fixture(scope="module")
def fitted(split: list[NDArray[Any]]) -> DigitClassifier:
    training, _, labels, _ = split
    return tiny().fit(training, labels)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of training, which fails at once."""
    heard: dict[str, Any] = {}

    def train(config: Any, dataset: Any, run: Any) -> Any:
        heard.update(config=config, dataset=dataset, folder=run.root)
        raise RuntimeError("no training")

    monkeypatch.setattr("mnist_cnn.training.trainer.train", train)
    return heard


@pytest.mark.slow
def test_it_passes_the_checks_of_scikit_learn() -> None:
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(tiny())


def test_it_classifies_unseen_digits(fitted: DigitClassifier, split: list[NDArray[Any]]) -> None:
    _, unseen, _, labels = split
    assert fitted.score(unseen, labels) >= 0.85
    probabilities = fitted.predict_proba(unseen)
    assert probabilities.shape == (450, 10)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert [row["epoch"] for row in fitted.history_] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_real_recipe_classifies_unseen_digits_well(split: list[NDArray[Any]]) -> None:
    training, unseen, labels, expected = split
    assert DigitClassifier("small", epochs=4).fit(training, labels).score(unseen, expected) >= 0.95


def test_flat_rows_and_pictures_are_the_same(fitted: DigitClassifier) -> None:
    expected = fitted.predict_proba(DIGITS[:20])
    for shape in [(20, 8, 8), (20, 8, 8, 1)]:
        np.testing.assert_array_equal(fitted.predict_proba(DIGITS[:20].reshape(shape)), expected)
    np.testing.assert_array_equal(fitted.predict_proba(DIGITS[:20].reshape(20, 8, 8).tolist()), expected)


def test_the_range_of_values_is_learnt() -> None:
    first, second = tiny(epochs=1), tiny(epochs=1)
    images = DIGITS[:60].reshape(-1, 8, 8)
    first.fit(images, LABELS[:60])
    second.fit(images / 8 - 1, LABELS[:60])
    assert (first.value_range_, second.value_range_) == ((0, 16), (-1, 1))
    assert first.image_shape_ == (8, 8)
    np.testing.assert_array_equal(first.predict_proba(images), second.predict_proba(images / 8 - 1))
    np.testing.assert_array_equal(second.predict_proba(images), second.predict_proba(np.minimum(images, 1)))


def test_its_network_is_an_onnx_file_for_grey_levels() -> None:
    data = load_dataset("digits").subset(np.arange(60))
    fitted = tiny(epochs=1).fit(data.images, data.labels)
    session = onnxruntime.InferenceSession(fitted.model_)
    (probabilities,) = session.run(["probabilities"], {"image": data.images[..., np.newaxis].astype(np.float32)})
    np.testing.assert_array_equal(fitted.predict_proba(data.images), probabilities)
    metadata = ModelMetadata.from_strings(session.get_modelmeta().custom_metadata_map, "model_")
    assert metadata is not None
    assert metadata.class_names == tuple("0123456789")
    assert metadata.dataset == "60 images given to DigitClassifier"


def test_predicting_needs_no_keras(fitted: DigitClassifier, tmp_path: Path) -> None:
    file = tmp_path / "classifier.pickle"
    file.write_bytes(pickle.dumps(fitted))
    assert file.stat().st_size < 1_000_000
    script = (
        "import pickle, sys; from sklearn.datasets import load_digits\n"
        f"fitted = pickle.load(open({str(file)!r}, 'rb'))\n"
        "print(*fitted.predict(load_digits().data[:30]), *({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert answer.split() == [str(label) for label in fitted.predict(DIGITS[:30])]


def test_labels_may_be_words() -> None:
    words = np.array(["even", "odd"])[LABELS[:200] % 2]
    fitted = tiny(validation=0.2).fit(DIGITS[:200], words)
    assert list(fitted.classes_) == ["even", "odd"]
    assert set(fitted.predict(DIGITS[:50])) == {"even", "odd"}
    assert fitted.score(DIGITS[:200], words) > 0.8
    assert "val_loss" in fitted.history_[0]


@pytest.mark.slow
def test_the_same_random_state_gives_the_same_network() -> None:
    images, labels = DIGITS[:60], LABELS[:60]
    one = {seed: tiny(random_state=seed).fit(images, labels).model_ for seed in (0, 1)}
    assert one[0] != one[1]
    with ThreadPoolExecutor() as pool:  # Keras' seed is global, and these two differ
        again = list(pool.map(lambda seed: tiny(random_state=seed).fit(images, labels).model_, [0, 1]))
    assert again == [one[0], one[1]]


def test_fitting_leaves_the_global_generators_alone() -> None:
    np.random.seed(5)  # noqa: NPY002 - the global generator is under test
    random.seed(5)
    expected = np.random.random(), random.random()  # noqa: NPY002, S311
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    tiny(epochs=1).fit(DIGITS[:20], LABELS[:20])
    assert (np.random.random(), random.random()) == expected  # noqa: NPY002, S311


def test_parameters_become_settings(asked: dict[str, Any]) -> None:
    settings = {"training.batch_size": np.int64(7), "training.seed": 9}
    given: dict[str, Any] = {"epochs": np.int64(3), "validation": 0, "random_state": 4}
    estimator = DigitClassifier("conv3", settings=settings, **given)
    with pytest.raises(RuntimeError, match="no training"):
        estimator.fit(DIGITS, LABELS)
    training = asked["config"].training
    assert asked["config"].model.architecture == "conv3"
    assert (training.epochs, training.batch_size, training.seed, training.deterministic) == (3, 7, 9, True)
    assert not asked["folder"].exists()


def test_without_a_random_state_every_fit_draws_its_own(asked: dict[str, Any]) -> None:
    seeds = set()
    for state in [None, None, np.random.RandomState(0), np.random.RandomState(0)]:
        with pytest.raises(RuntimeError, match="no training"):
            DigitClassifier(random_state=state).fit(DIGITS, LABELS)
        seeds.add(asked["config"].training.seed)
    assert len(seeds) == 3


@pytest.mark.parametrize(("count", "batch_size"), [(9_999, 32), (10_000, 128)])
def test_the_recipe_fits_the_number_of_images(asked: dict[str, Any], count: int, batch_size: int) -> None:
    with pytest.raises(RuntimeError, match="no training"):
        DigitClassifier().fit(np.tile(DIGITS[:2, :1], (count // 2 + 1, 1))[:count], np.arange(count) % 2)
    assert asked["config"].training.batch_size == batch_size


@given(height=st.integers(1, 60), width=st.integers(1, 60))
def test_pictures_are_scaled_whole(height: int, width: int) -> None:
    scaled = classifier_module.scale_picture(np.full((height, width), 255, np.float32))
    assert scaled.shape == (28, 28)
    np.testing.assert_allclose(scaled[scaled > 0], 255, rtol=1e-5)
    inked = [np.flatnonzero(scaled.any(axis=axis)) for axis in (1, 0)]  # rows, columns
    assert max(map(len, inked)) == (28 if max(height, width) > 28 else 20)
    assert abs(len(inked[0]) / height - len(inked[1]) / width) <= 1 / min(height, width)
    for places in inked:
        before, after = places[0], 27 - places[-1]
        assert before <= after <= before + 1


def test_a_fit_that_fails_changes_nothing(fitted: DigitClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    once, never = copy.deepcopy(fitted), tiny()
    before = dict(vars(once))

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("mnist_cnn.training.trainer.train", interrupted)
    for estimator in (once, never):
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(DIGITS[:20, :9], LABELS[:20])
    assert vars(once) == before
    with pytest.raises(NotFittedError):
        never.predict(DIGITS)


def test_ctrl_c_ends_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*arguments: Any) -> Any:
        class Result:
            interrupted = True

        return Result

    monkeypatch.setattr("mnist_cnn.training.trainer.train", train)
    with pytest.raises(KeyboardInterrupt):
        tiny().fit(DIGITS[:20], LABELS[:20])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"recipe": "quik"}, r"no recipe 'quik'\. Did you mean 'quick'"),
        ({"settings": {"training.epoch": 3}}, r"no setting 'training\.epoch'\. Did you mean 'training\.epochs'"),
        ({"epochs": 0}, r"training\.epochs = 0 is not valid"),
        ({"epochs": 2.5}, r"training\.epochs = 2\.5 is not valid"),
        ({"random_state": -1}, r"training\.seed = -1 is not valid"),
        ({"validation": 0.01}, "should be greater or equal to the number of classes = 10"),
    ],
)
def test_invalid_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DigitClassifier(**parameters).fit(DIGITS[:100], LABELS[:100])


def test_images_of_another_shape_are_refused(fitted: DigitClassifier) -> None:
    with pytest.raises(ValueError, match=r"y has 1 class, \[7\]; a classifier needs at least 2"):
        tiny().fit(DIGITS[:5], [7] * 5)
    with pytest.raises(ValueError, match="X has 49 features, but DigitClassifier is expecting 64"):
        fitted.predict(DIGITS[:5, :49])
    with pytest.raises(ValueError, match="the images are 4×16, but fit was given 8×8"):
        fitted.predict(DIGITS[:5].reshape(5, 4, 16))
    with pytest.raises(ValueError, match="dim 4"):
        fitted.predict(np.zeros((5, 8, 8, 3)))


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, classifier_module.__name__)
    with pytest.raises(MissingExtraError, match=re.escape(str(install_command(["train"])))):
        importlib.import_module(classifier_module.__name__)


def test_a_missing_converter_is_named_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras
    from keras import layers

    from mnist_cnn.training import trainer

    scaled = [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Activation("leaky_relu"), layers.Flatten()]
    keras.Sequential([*scaled, layers.Dense(10, activation="softmax")]).save(tmp_path / "other.keras")
    monkeypatch.setattr(trainer, "train", lambda *_: pytest.fail("it trained"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="'export': tf2onnx is not installed"):
        tiny(settings={"model.init_from": str(tmp_path / "other.keras")}).fit(DIGITS[:100], LABELS[:100])
