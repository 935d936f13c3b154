"""Model files are opened without running code, and anything that is not a whole model is refused in one line."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evaluation.small_network import build_network
from mnist_cnn.errors import InputError
from mnist_cnn.models.persistence import open_model
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    import keras


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build_network()


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


def test_a_run_folder_and_its_file_open_as_the_same_model(tmp_path: Path, network: keras.Model) -> None:
    run = RunFolder(tmp_path / "tiny-001")
    run.root.mkdir()
    run.config.touch()
    network.save(run.model)
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
    for path in (run.root, run.model, str(run.root), str(run.model)):
        np.testing.assert_allclose(open_model(path)(images), network(images), atol=1e-6)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_that_carries_code_is_refused_and_the_code_does_not_run(tmp_path: Path, suffix: str) -> None:
    from mnist_cnn.models.backend import keras

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
def test_a_model_with_classes_of_its_own_is_refused(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cnn.models.backend import keras

    class OwnLayer(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no type information
        """Does nothing."""

    keras.saving.register_keras_serializable(package="foreign")(OwnLayer)
    path = tmp_path / f"custom{suffix}"
    keras.Sequential([keras.Input((28, 28, 1)), OwnLayer(), keras.layers.Flatten(), keras.layers.Dense(10)]).save(path)
    monkeypatch.delitem(keras.saving.get_custom_objects(), "foreign>OwnLayer")
    refused(path, "code in a file is not run")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("content", [b"", b"no model at all", b"PK\x03\x04 torn", b"\x89HDF\r\n\x1a\n torn"])
def test_garbage_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    refused(path, "cannot be opened as a Keras model")


def test_weights_without_a_model_are_refused(tmp_path: Path, network: keras.Model) -> None:
    network.save_weights(tmp_path / "mine.weights.h5")
    refused(tmp_path / "mine.weights.h5", r"Save the whole model with model\.save\.$")


def test_other_files_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.keras", "there is no model")
    refused(tmp_path, "there is no model")
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n")
    refused(tmp_path / "model.pkl", r"is not a Keras model: its name must end in \.keras or \.h5")


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [((32, 32, 3), 10, r"takes \(None, 32, 32, 3\)"), ((28, 28, 1), 1, r"returns \(None, 1\)")],
)
def test_other_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...], classes: int, message: str) -> None:
    from mnist_cnn.models.backend import keras

    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes)]).save(path)
    refused(path, message)
