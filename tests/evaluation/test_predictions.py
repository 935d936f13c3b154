from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest

from evaluation.small_network import build_network
from mnist_cnn.errors import InputError
from mnist_cnn.evaluation import predictions as evaluation
from mnist_cnn.evaluation.predictions import Predictions
from mnist_cnn.models.persistence import open_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mnist_cnn.datasets.dataset import Dataset
    from mnist_cnn.runs import RunFolder


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


def test_a_run_folder_and_its_file_open_as_the_same_model(
    make_run: Callable[..., RunFolder], digits: Dataset, network: keras.Model
) -> None:
    run = make_run()
    expected = evaluation.predict_images(network, digits.images)
    for path in (run.root, run.model, str(run.root), str(run.model)):
        model = open_model(path)
        np.testing.assert_allclose(evaluation.predict_images(model, digits.images), expected, atol=1e-6)


def test_a_legacy_file_opens(tmp_path: Path, network: keras.Model) -> None:
    network.save(tmp_path / "model.h5")
    assert open_model(tmp_path / "model.h5").output_shape == (None, 10)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_that_carries_code_is_refused_and_the_code_does_not_run(tmp_path: Path, suffix: str) -> None:
    marker = tmp_path / "code-ran"
    at = str(marker)  # Keras writes a lambda's closure into the file, but not its imports
    pixels = keras.Input((28, 28, 1))
    harmful = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(at).write_text(""), x)[1])(pixels)
    answer = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(harmful))
    path = tmp_path / f"hostile{suffix}"
    keras.Model(pixels, answer).save(path)
    marker.unlink()
    keras.saving.load_model(path, compile=False, safe_mode=False)
    assert marker.exists(), "the trap must work, or this test shows nothing"
    marker.unlink()
    refused(path, r"model: it has Lambda layers or other code of its own, and code in a file is not run\. Give")
    assert not marker.exists()


def test_a_model_file_that_names_a_function_of_the_system_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "code-ran"
    config = {
        "module": "os", "class_name": "system", "registered_name": "system",
        "config": {"command": f"touch {marker}"},
    }  # fmt: skip
    path = tmp_path / "hostile.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("model.weights.h5", b"")
    refused(path, "cannot be opened as a Keras model")
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("content", [b"", b"no model at all", b"PK\x03\x04 torn", b"\x89HDF\r\n\x1a\n torn"])
def test_garbage_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    whole = r"Give a run folder, or a whole model saved by Keras \(model\.save\)\.$"
    refused(path, f"cannot be opened as a Keras model: it is damaged or of another kind. {whole}")


@keras.saving.register_keras_serializable(package="strangers")
class OwnLayer(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no type information
    def call(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_with_classes_of_its_own_is_refused_in_our_words(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"custom{suffix}"
    keras.Sequential([keras.Input((28, 28, 1)), OwnLayer(), keras.layers.Flatten(), keras.layers.Dense(10)]).save(path)
    monkeypatch.delitem(keras.saving.get_custom_objects(), "strangers>OwnLayer")
    monkeypatch.delattr("evaluation.test_evaluation.OwnLayer")
    refused(path, "code in a file is not run")


def test_weights_alone_are_refused_and_the_way_to_save_a_whole_model_is_named(
    tmp_path: Path, network: keras.Model
) -> None:
    network.save_weights(tmp_path / "mine.weights.h5")
    refused(tmp_path / "mine.weights.h5", r"it contains only weights\. Save the whole model with model\.save\.$")


def test_a_torn_model_file_is_refused(tmp_path: Path, network: keras.Model) -> None:
    path = tmp_path / "torn.keras"
    network.save(path)
    path.write_bytes(path.read_bytes()[:-400])
    refused(path, "cannot be opened as a Keras model")


def test_what_is_no_model_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.keras", "there is no model")
    refused(tmp_path, "there is no model")
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n")
    refused(tmp_path / "model.pkl", r"is not a model file: its name must end in \.keras or \.h5")
    for name in ("model.onnx", "MODEL.ONNX"):
        (tmp_path / name).touch()
        refused(tmp_path / name, r"is an ONNX file, for predict and serve; this needs the Keras model: its name must")


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((32, 32, 3), 10, r"takes \(None, 32, 32, 3\)"),
        ((28, 27), 10, "takes"),
        ((28, 28, 1), 1, r"gives \(None, 1\)"),
    ],
)
def test_other_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...], classes: int, message: str) -> None:
    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes)]).save(path)
    refused(path, message)


def test_another_number_of_classes_is_refused(digits: Dataset) -> None:
    with pytest.raises(InputError, match="knows 3 classes but digits has 10"):
        evaluation.predict(build_network(classes=3), digits)


def test_a_diverged_model_is_refused(digits: Dataset) -> None:
    model = build_network()
    model.set_weights([np.full(weights.shape, np.nan) for weights in model.get_weights()])
    with pytest.raises(InputError, match="NaN"):
        evaluation.predict(model, digits)


def test_predictions_do_not_depend_on_the_batch_size(digits: Dataset, network: keras.Model) -> None:
    whole = evaluation.predict(network, digits)
    parts = evaluation.predict(network, digits, batch_size=7)
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-6)


def test_predictions_agree_with_a_look_at_each_image(digits: Dataset, network: keras.Model) -> None:
    said = evaluation.predict(network, digits)
    for index, row in enumerate(said.probabilities):
        best = max(range(10), key=lambda label: row[label])
        assert said.predicted[index] == best
        assert said.confidence[index] == row[best]
        assert said.is_wrong[index] == (best != digits.labels[index])
    assert np.all(np.diff(said.losses[said.hardest_first]) <= 0)
    assert set(said.worst_errors) == set(np.flatnonzero(said.is_wrong))
    assert 0 < len(said.worst_errors) < len(digits), "the fixture must hold right and wrong predictions"


def test_predictions_come_back_exactly(tmp_path: Path, digits: Dataset, network: keras.Model) -> None:
    said = evaluation.predict(network, digits)
    evaluation.write_predictions(tmp_path / "predictions.csv", said)
    labels, probabilities = evaluation.read_predictions(tmp_path / "predictions.csv")
    np.testing.assert_array_equal(labels, digits.labels)
    np.testing.assert_array_equal(probabilities, said.probabilities)
    header = (tmp_path / "predictions.csv").read_text().splitlines()[0]
    assert header == "index,label,predicted,confidence,loss,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9"


@pytest.mark.parametrize(
    "content", ["", "a,b\n1,2\n", "index,label,predicted,confidence,loss,p0,p1\n0,1\n", "\x00\xff"]
)
def test_a_table_that_holds_no_predictions_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"predictions\.csv"):
        evaluation.read_predictions(path)


def test_known_label_errors_are_left_out_of_mnists_test_set_only(
    monkeypatch: pytest.MonkeyPatch, digits: Dataset
) -> None:
    wrong_at_3_and_9 = np.eye(10, dtype=np.float32)[(digits.labels + np.isin(np.arange(200), [3, 9])) % 10]
    said = Predictions(digits, wrong_at_3_and_9)
    assert evaluation.without_label_errors(said) is None
    monkeypatch.setattr(evaluation, "MNIST_TEST_CHECKSUM", digits.checksum())
    monkeypatch.setattr(evaluation, "MNIST_TEST_LABEL_ERRORS", (3, 5))
    cleaned = evaluation.without_label_errors(said)
    assert cleaned is not None
    assert (cleaned.excluded, cleaned.n, cleaned.errors) == (2, 198, 1)


def test_some_of_the_digits_are_read_by_a_model_of_ten(digits: Dataset, network: keras.Model) -> None:
    few = digits.subset(np.flatnonzero(np.isin(digits.labels, (3, 8))))
    own = replace(few, labels=(few.labels == 8).astype(np.int64), class_names=("three", "8"))
    said, expected = evaluation.predict(network, own), evaluation.predict(network, few)
    np.testing.assert_array_equal(said.labels, few.labels)
    assert evaluation.evaluate(said).accuracy == evaluation.evaluate(expected).accuracy
    with pytest.raises(InputError, match=r"the model knows 10 classes but .* has 2"):
        evaluation.predict(network, replace(own, class_names=("cat", "dog")))
