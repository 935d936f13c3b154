"""Every format: written, read by its own runtime, compared and described; and refused if it is wrong."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from export.networks import tiny_network, with_random_weights
from mnist_cnn.datasets import ResolvedDataset, load_dataset
from mnist_cnn.environment.installation import install_command
from mnist_cnn.errors import InputError, MissingExtraError, MnistCnnError
from mnist_cnn.export import MAX_DROP
from mnist_cnn.export.check import CheckError, check_batches, check_difference, check_drop
from mnist_cnn.export.exporting import export
from mnist_cnn.export.formats import FORMATS, find_formats, onnx_file
from mnist_cnn.export.original import Original, open_original
from mnist_cnn.files import PARTIAL
from mnist_cnn.models.persistence import save_model

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras


def wrong(original: Original) -> Original:
    """Change one weight, as a converter with a mistake would."""
    import keras

    model = keras.models.clone_model(original.model, call_function=lambda layer, *inputs, **_: layer(*inputs))
    model.set_weights(original.model.get_weights())
    kernel = model.layers[-1].kernel
    kernel.assign(np.asarray(kernel) * np.linspace(1, 3, kernel.shape[-1], dtype=np.float32))
    return dataclasses.replace(original, model=model)


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning")  # TensorFlow's own use
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_written_checked_and_described(name: str, original: Original, tmp_path: Path) -> None:
    format_ = FORMATS[name]
    if missing := format_.missing():
        pytest.skip(str(missing))
    exported = export(original, format_, tmp_path, allowed_drop=2.0)  # one of the 359 test digits is 0.3 points
    assert exported.path == tmp_path / format_.file
    assert [entry.name for entry in tmp_path.iterdir()] == [format_.file]
    assert exported.size > 5_000
    assert exported.agreement.difference < (0.5 if format_.is_int8 else 1e-5)
    before = float((original.probabilities.argmax(axis=1) == original.digits.labels).mean())
    assert exported.agreement.accuracy is not None
    assert exported.agreement.drop == pytest.approx(100 * (before - exported.agreement.accuracy))
    metadata = dataclasses.replace(original.metadata, accuracy=exported.agreement.accuracy)
    assert format_.read_metadata(exported.path) == metadata
    wrong_format = dataclasses.replace(format_, write=lambda each, path: format_.write(wrong(each), path))
    if not format_.is_int8:
        assert_failure_changes_nothing(original, wrong_format, tmp_path)


def assert_failure_changes_nothing(original: Original, wrong_format: Any, folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(CheckError, match=r"probabilities differ from the Keras model's by up to 0.*limit is 0.0001"):
        export(original, wrong_format, folder)
    assert contents(folder) == before
    assert not list(folder.rglob(f"{PARTIAL}*"))


def test_the_original_is_described_by_its_held_out_digits(original: Original) -> None:
    metadata = original.metadata
    assert metadata.class_names == tuple("0123456789")
    assert (metadata.dataset, metadata.architecture) == ("digits", "tiny")
    assert 0.2 < metadata.temperature < 5
    assert metadata.temperature != 1.0
    assert 0.1 < metadata.rejection_threshold < 1
    assert len(original.representative) == 288  # a fifth of the 1,438 training digits


def test_the_included_weights_are_described_by_what_they_never_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cnn.training.unseen.SHIPPED_CHECKSUM", load_dataset("digits").checksum())
    included = open_original(Path("digits"), ResolvedDataset("digits"))
    assert len(included.representative) == 144  # a tenth of the 1,438 training digits
    assert not included.remarks


def other_network() -> keras.Model:
    """A network that Keras' exporter writes."""
    from keras import layers

    from export.networks import network

    return network(
        layers.Rescaling(1 / 255), layers.Conv2D(8, 5, strides=3), layers.Activation("leaky_relu"), layers.Flatten(),
        layers.Dense(12), classes=10,
    )  # fmt: skip


@pytest.mark.parametrize("make", [tiny_network, other_network])
def test_int8_files_contain_integers_except_in_the_last_layer(
    make: Callable[[], keras.Model], original: Original, tmp_path: Path
) -> None:
    import onnx
    import onnxruntime

    model = make()
    probabilities = np.asarray(model.predict(original.digits.images[..., None], verbose=0))
    other = dataclasses.replace(original, model=model, probabilities=probabilities)
    export(other, FORMATS["onnx-int8"], tmp_path, allowed_drop=100.0)
    written = onnx.load_model(tmp_path / "model.int8.onnx")
    kernels = [each for each in written.graph.initializer if each.data_type == onnx.TensorProto.INT8 and each.dims]
    assert sum(len(each.dims) > 1 for each in kernels) == (3 if make is tiny_network else 2)
    session = onnxruntime.InferenceSession(tmp_path / "model.int8.onnx")
    assert [(each.name, each.type, each.shape) for each in session.get_inputs()] == [
        ("image", "tensor(float)", ["batch", 28, 28, 1])
    ]
    assert [each.name for each in session.get_outputs()] == ["probabilities"]


def test_a_folder_is_replaced_as_a_whole(original: Original, tmp_path: Path) -> None:
    target = export(original, FORMATS["openvino"], tmp_path).path
    (target / "old.txt").write_text("old")
    export(original, FORMATS["openvino"], tmp_path)
    assert not (target / "old.txt").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["openvino"]


def test_a_less_accurate_int8_file_is_refused(original: Original, tmp_path: Path) -> None:
    broken = dataclasses.replace(original, model=with_random_weights(tiny_network()))
    int8 = dataclasses.replace(FORMATS["onnx-int8"], write=lambda _, path: onnx_file.write(broken, path))
    with pytest.raises(CheckError, match=r"onnx-int8: int8 costs \d\d.* points .*the limit is 0.05.*--allow-drop"):
        export(original, int8, tmp_path)
    assert not list(tmp_path.iterdir())
    assert export(original, int8, tmp_path, allowed_drop=100).agreement.drop > 10  # type: ignore[operator]


def test_the_limits_are_as_documented() -> None:
    check_difference(1e-4, "onnx")
    for difference in (1.01e-4, float("nan")):
        with pytest.raises(CheckError):
            check_difference(difference, "onnx")
    check_drop(100 * 5 / 10_000, "onnx-int8", MAX_DROP)
    with pytest.raises(CheckError, match=r"costs 0.06 points.*--allow-drop 0.06"):
        check_drop(100 * 6 / 10_000, "onnx-int8", MAX_DROP)


@pytest.mark.parametrize("errors", range(1, 20))
def test_the_limit_that_a_message_names_is_enough(errors: int) -> None:
    drop = 100 * errors / 359  # the bundled digits' test images; 4 of them are 1.114 points
    with pytest.raises(CheckError) as caught:
        check_drop(drop, "onnx-int8", MAX_DROP)
    named = re.search(r"--allow-drop ([\d.]+),", str(caught.value))
    assert named
    check_drop(drop, "onnx-int8", float(named[1]))


def test_batches_of_one_and_seven_are_checked(original: Original) -> None:
    first, seven = original.probabilities[:1], original.probabilities[:7]
    by_size = {1: first, 7: seven}
    check_batches(lambda images: by_size[len(images)], original, "onnx", exact=True)
    for answer, message in (
        (first, r"7 digits return float32 \(1, 10\)"),
        (seven * 2, "do not add up to 1"),
        (seven[::-1], "at batch size 7: probabilities differ"),
    ):
        by_size[7] = answer
        with pytest.raises(CheckError, match=message):
            check_batches(lambda images: by_size[len(images)], original, "onnx", exact=True)


def test_a_converter_that_fails_is_reported_in_one_line(original: Original, tmp_path: Path) -> None:
    def fail(_original: Original, _path: Path) -> None:
        raise RuntimeError("out of luck\nand more")

    with pytest.raises(MnistCnnError, match=r"onnx: the conversion failed with RuntimeError \(out of luck\). Nothing"):
        export(original, dataclasses.replace(FORMATS["onnx"], write=fail), tmp_path)


def test_a_missing_package_is_named_with_its_command(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = dataclasses.replace(FORMATS["onnx"], needs=(("no_such_module", "export"),))
    with pytest.raises(MissingExtraError, match="no_such_module.*" + re.escape(str(install_command(["export"])))):
        export(original, later, tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert str(install_command(["train"])) in str(FORMATS["keras"].missing())
    assert str(install_command(["train", "export"])) in str(FORMATS["onnx"].missing())


def test_the_extras_install_what_the_formats_need() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for format_ in FORMATS.values():
        for module, extra in format_.needs:
            packages = [re.split(r"\W*[<>=]", each)[0] for each in project["optional-dependencies"][extra]]
            assert module.replace("_", "-") in packages, f"{format_.name} needs {module}"


def test_formats_that_tensorflow_writes_need_its_backend(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for name in ("savedmodel", "litert"):
        with pytest.raises(InputError, match=r"Keras runs on jax.*KERAS_BACKEND=tensorflow"):
            export(original, FORMATS[name], tmp_path)


def test_formats_are_found_by_name() -> None:
    assert [each.name for each in find_formats(["keras,onnx", "onnx"])] == ["onnx", "keras"]
    assert [each.name for each in find_formats(["all"])] == list(FORMATS)
    with pytest.raises(InputError, match=r"there is no format 'onxx'. Did you mean 'onnx'"):
        find_formats(["onxx"])
    with pytest.raises(InputError, match="no format was given"):
        find_formats([","])


def test_a_file_without_its_data_keeps_the_defaults(keras_file: Path, tmp_path: Path) -> None:
    unknown = open_original(keras_file, None)
    assert (unknown.metadata.temperature, unknown.metadata.rejection_threshold) == (1.0, 0.5)
    assert "--dataset" in unknown.remarks[0]
    assert export(unknown, FORMATS["onnx"], tmp_path).agreement.accuracy is None
    with pytest.raises(InputError, match=r"onnx-int8 needs labelled digits.*--dataset"):
        export(unknown, FORMATS["onnx-int8"], tmp_path)


def test_a_network_in_bfloat16_is_refused(tmp_path: Path) -> None:
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        save_model(tiny_network(), tmp_path / "half.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(InputError, match="computes in bfloat16, but exports compute in float32"):
        open_original(tmp_path / "half.keras", None)


def test_a_network_without_probabilities_is_refused_at_once_and_the_advice_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from mnist_cnn.datasets import ResolvedDataset

    model = tiny_network()
    model.layers[-1].activation = keras.activations.softplus
    model = with_random_weights(keras.Model(model.inputs, model.layers[-1](model.layers[-2].output)))
    save_model(model, tmp_path / "scores.keras")
    with monkeypatch.context() as blind:
        blind.setattr(ResolvedDataset, "load", lambda *_: pytest.fail("the data are loaded first"))
        with pytest.raises(InputError, match=r"scores.keras does not give probabilities.*keras.Sequential\(\[model, "):
            open_original(tmp_path / "scores.keras", ResolvedDataset("digits"))
    save_model(keras.Sequential([model, keras.layers.Softmax()]), tmp_path / "softmax.keras")
    export(open_original(tmp_path / "softmax.keras", None), FORMATS["onnx"], tmp_path)


def test_a_diverged_network_is_refused(tmp_path: Path) -> None:
    model = tiny_network()
    model.layers[-1].bias.assign(np.full(10, np.nan))
    save_model(model, tmp_path / "diverged.keras")
    with pytest.raises(InputError, match=r"NaN .* diverged"):
        open_original(tmp_path / "diverged.keras", None)


@pytest.mark.parametrize("is_sequential", [False, True])
def test_normalisations_as_convolutions_compute_the_same(is_sequential: bool) -> None:
    import keras

    from mnist_cnn.export.channelwise import normalise_by_convolution

    model = with_random_weights(tiny_network())
    if is_sequential:
        model = keras.Sequential([keras.Input((28, 28, 1)), *model.layers[1:]])
    changed = normalise_by_convolution(model)
    kinds = [type(layer).__name__ for layer in changed.layers]
    assert (kinds.count("BatchNormalization"), kinds.count("DepthwiseConv2D")) == (1, 1)
    images = np.random.default_rng(0).uniform(0, 255, (7, 28, 28, 1)).astype(np.float32)
    np.testing.assert_allclose(changed.predict_on_batch(images), model.predict_on_batch(images), atol=1e-5)
