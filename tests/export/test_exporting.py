"""Every format: written, read by its own runtime, compared, described; and refused where it is wrong."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from export.networks import tiny_network, with_random_weights
from mnist_cnn.datasets import ResolvedDataset
from mnist_cnn.environment.installation import install_command
from mnist_cnn.errors import InputError, MissingExtraError, MnistCnnError
from mnist_cnn.export import MAX_DROP
from mnist_cnn.export.formats.channelwise import normalise_by_convolution
from mnist_cnn.export.check import CheckError, check_batches, check_difference, check_drop
from mnist_cnn.export.exporting import export
from mnist_cnn.export.formats import FORMATS, Format, find_formats, keras_file, onnx_file, openvino_ir, saved_model
from mnist_cnn.export.metadata_files import read_metadata
from mnist_cnn.export.original import Original, open_original
from mnist_cnn.files import PARTIAL
from mnist_cnn.models.persistence import open_model, save_model


def wrong(original: Original) -> Original:
    """Give the same with one weight changed, as a converter with a mistake would write it."""
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
    assert exported.size > 10_000
    assert exported.agreement.difference < (0.5 if format_.is_int8 else 1e-5)
    before = float((original.probabilities.argmax(axis=1) == original.digits.labels).mean())
    assert exported.agreement.accuracy is not None
    assert exported.agreement.drop == pytest.approx(100 * (before - exported.agreement.accuracy))
    assert read_metadata(exported.path) == dataclasses.replace(original.metadata, accuracy=exported.agreement.accuracy)


def test_the_original_is_described_by_its_held_out_digits(original: Original) -> None:
    metadata = original.metadata
    assert metadata.class_names == tuple("0123456789")
    assert (metadata.dataset, metadata.architecture) == ("digits", "tiny")
    assert 0.2 < metadata.temperature < 5
    assert metadata.temperature != 1.0
    assert 0.1 < metadata.rejection_threshold < 1
    assert len(original.representative) == 288  # a fifth of the 1,438 training digits


def test_int8_files_are_smaller_and_hold_integers(original: Original, tmp_path: Path) -> None:
    for name in ("onnx", "onnx-int8"):
        export(original, FORMATS[name], tmp_path, allowed_drop=2.0)
    written = onnx.load_model(tmp_path / "model.int8.onnx")
    kernels = [each for each in written.graph.initializer if each.name.endswith("kernel_quantized")]
    assert {each.data_type for each in kernels} == {onnx.TensorProto.INT8}
    assert len(kernels) == 3  # two convolutions and a normalisation; the last layer stays in float32
    assert [each.name for each in written.graph.output] == ["probabilities"]


@pytest.mark.parametrize(
    ("name", "module"),
    [("onnx", onnx_file), ("keras", keras_file), ("savedmodel", saved_model), ("openvino", openvino_ir)],
)
def test_a_wrong_file_is_refused_and_what_was_there_stays(
    name: str, module: ModuleType, original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(original, FORMATS[name], tmp_path)
    before = contents(tmp_path)
    write = module.write
    monkeypatch.setattr(module, "write", lambda original, path: write(wrong(original), path))
    with pytest.raises(CheckError, match=r"probabilities differ from the Keras model's by up to 0.*allowed are 0.0001"):
        export(original, FORMATS[name], tmp_path)
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob(f"{PARTIAL}*"))


def test_a_folder_is_replaced_whole(original: Original, tmp_path: Path) -> None:
    target = export(original, FORMATS["savedmodel"], tmp_path).path
    (target / "old.txt").write_text("old")
    export(original, FORMATS["savedmodel"], tmp_path)
    assert not (target / "old.txt").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["saved_model"]


@pytest.mark.parametrize(("name", "module"), [("onnx", onnx_file), ("savedmodel", saved_model)])
def test_an_interruption_leaves_what_was_there(
    name: str, module: ModuleType, original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(original, FORMATS[name], tmp_path)
    before = contents(tmp_path)

    def interrupt(path: Path, _metadata: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "stamp", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(original, FORMATS[name], tmp_path)
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob(f"{PARTIAL}*"))


def test_int8_that_reads_worse_is_refused(original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = dataclasses.replace(original, model=with_random_weights(tiny_network()))
    monkeypatch.setattr(onnx_file, "write_int8", lambda _, path: onnx_file.write(broken, path))
    with pytest.raises(CheckError, match=r"onnx-int8: int8 costs \d\d.* points .*allowed are 0.05.*--allow-drop"):
        export(original, FORMATS["onnx-int8"], tmp_path)
    assert not list(tmp_path.iterdir())
    assert export(original, FORMATS["onnx-int8"], tmp_path, allowed_drop=100).agreement.drop > 10  # type: ignore[operator]


def test_the_limits_are_those_that_are_promised() -> None:
    check_difference(1e-4, "onnx")
    for difference in (1.01e-4, float("nan")):
        with pytest.raises(CheckError):
            check_difference(difference, "onnx")
    check_drop(100 * 5 / 10_000, "onnx-int8", MAX_DROP)
    with pytest.raises(CheckError, match=r"costs 0.06 points.*--allow-drop 0.06"):
        check_drop(100 * 6 / 10_000, "onnx-int8", MAX_DROP)


def test_batches_of_one_and_seven_are_asked(original: Original) -> None:
    sizes = []

    def reader(images: Any) -> Any:
        sizes.append(len(images))
        return original.probabilities[: len(images)]

    check_batches(reader, original, "onnx", exact=True)
    assert sizes == [1, 7]
    for answer, message in (
        (original.probabilities[:1], r"7 digits give float32 \(1, 10\)"),
        (original.probabilities[:7] * 2, "do not add up to 1"),
        (original.probabilities[:7][::-1], "at batch 7: probabilities differ"),
    ):
        answers = {1: original.probabilities[:1], 7: answer}
        with pytest.raises(CheckError, match=message):
            check_batches(lambda images, by_size=answers: by_size[len(images)], original, "onnx", exact=True)  # type: ignore[misc]


def test_a_converter_that_fails_is_reported_in_one_line(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_original: Original, _path: Path) -> None:
        raise RuntimeError("out of luck\nand more")

    monkeypatch.setattr(onnx_file, "write", fail)
    with pytest.raises(MnistCnnError, match=r"onnx: RuntimeError while converting \(out of luck\). Nothing was put"):
        export(original, FORMATS["onnx"], tmp_path)


def test_a_missing_package_is_named_with_its_command(original: Original, tmp_path: Path) -> None:
    format_ = Format("later", "model.later", "Later", "onnx_file", (("no_such_module", "export"),))
    with pytest.raises(MissingExtraError, match="no_such_module.*" + re.escape(str(install_command(["export"])))):
        export(original, format_, tmp_path)


def test_all_that_is_missing_is_installed_by_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert str(install_command(["train"])) in str(FORMATS["keras"].missing())
    for name in set(FORMATS) - {"keras", "savedmodel"}:
        assert "needs keras, " in str(FORMATS[name].missing())
        assert str(install_command(["train", "export"])) in str(FORMATS[name].missing())


def test_the_extras_bring_what_the_formats_need() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for format_ in FORMATS.values():
        for module, extra in format_.needs:
            packages = [re.split(r"\W*[<>=]", each)[0] for each in project["optional-dependencies"][extra]]
            assert module.replace("_", "-") in packages, f"{format_.name} needs {module}"


def test_tensorflow_s_formats_need_its_backend(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for name in ("savedmodel", "litert"):
        with pytest.raises(InputError, match=r"Keras runs on jax.*KERAS_BACKEND=tensorflow"):
            export(original, FORMATS[name], tmp_path)


def test_formats_are_found_by_name() -> None:
    assert [each.name for each in find_formats(["keras,onnx", "onnx"])] == ["onnx", "keras"]
    assert [each.name for each in find_formats(["all"])] == list(FORMATS)
    with pytest.raises(InputError, match=r"no format 'onxx'. Did you mean 'onnx'"):
        find_formats(["onxx"])


def test_a_file_without_its_data_keeps_the_defaults(keras_file: Path, tmp_path: Path) -> None:
    unknown = open_original(keras_file, None)
    assert (unknown.metadata.temperature, unknown.metadata.rejection_threshold) == (1.0, 0.5)
    assert "--dataset" in unknown.remarks[0]
    assert export(unknown, FORMATS["onnx"], tmp_path).agreement.accuracy is None
    with pytest.raises(InputError, match=r"onnx-int8 is calibrated.*--dataset"):
        export(unknown, FORMATS["onnx-int8"], tmp_path)


def test_a_network_in_bfloat16_is_refused(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        save_model(tiny_network(), tmp_path / "half.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(InputError, match="computes in bfloat16, and exports in float32"):
        open_original(tmp_path / "half.keras", None)


@pytest.mark.parametrize("data", [None, ResolvedDataset("digits")])
def test_what_is_no_probability_is_refused_at_once_and_the_advice_is_good(
    data: ResolvedDataset | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_network()
    model.layers[-1].activation = keras.activations.softplus
    model = with_random_weights(keras.Model(model.inputs, model.layers[-1](model.layers[-2].output)))
    save_model(model, tmp_path / "scores.keras")
    with monkeypatch.context() as blind:
        blind.setattr(ResolvedDataset, "load", lambda *_: pytest.fail("the data are read first"))
        with pytest.raises(InputError, match=r"scores.keras gives no probabilities.*keras.Sequential\(\[model, "):
            open_original(tmp_path / "scores.keras", data)
    save_model(keras.Sequential([model, keras.layers.Softmax()]), tmp_path / "softmax.keras")
    export(open_original(tmp_path / "softmax.keras", data), FORMATS["onnx"], tmp_path)


def test_a_diverged_network_is_refused(tmp_path: Path) -> None:
    model = tiny_network()
    model.layers[-1].bias.assign(np.full(10, np.nan))
    save_model(model, tmp_path / "diverged.keras")
    with pytest.raises(InputError, match=r"NaN .* diverged"):
        open_original(tmp_path / "diverged.keras", None)


@pytest.mark.parametrize("form", [keras.Model, keras.Sequential])
def test_normalisations_as_convolutions_compute_the_same(form: Any) -> None:
    model = with_random_weights(tiny_network())
    if form is keras.Sequential:
        model = keras.Sequential([keras.Input((28, 28, 1)), *model.layers[1:]])
    changed = normalise_by_convolution(model)
    kinds = [type(layer).__name__ for layer in changed.layers]
    assert (kinds.count("BatchNormalization"), kinds.count("DepthwiseConv2D")) == (1, 1)
    images = np.random.default_rng(0).uniform(0, 255, (7, 28, 28, 1)).astype(np.float32)
    np.testing.assert_allclose(changed.predict_on_batch(images), model.predict_on_batch(images), atol=1e-5)


@pytest.fixture
def hostile(tmp_path: Path, keras_file: Path) -> Any:
    """Give a function that writes a `.keras` file with one layer replaced in its configuration."""

    def write(layer: dict[str, Any]) -> Path:
        path = tmp_path / "hostile.keras"
        with zipfile.ZipFile(keras_file) as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                if name == "config.json":
                    config = json.loads(content)
                    config["config"]["layers"][1].update(layer)
                    content = json.dumps(config).encode()
                target.writestr(name, content)
        return path

    return write


def test_hostile_keras_files_run_nothing(hostile: Any, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    code = {"class_name": "__lambda__", "config": {"value": f"open({str(trap)!r}, 'w')"}}
    for layer in (
        {"class_name": "Lambda", "config": {"name": "rescaling", "function": code}},
        {"module": "os", "class_name": "system", "config": {"command": f"touch {trap}"}},
        {"module": "builtins", "class_name": "eval", "config": f"open({str(trap)!r}, 'w')"},
    ):
        with pytest.raises(InputError, match="cannot be opened as a Keras model"):
            open_original(hostile(layer), None)
        assert not trap.exists()


@pytest.mark.parametrize("is_relative", [False, True])
def test_an_onnx_file_cannot_fetch_its_weights_from_elsewhere(
    is_relative: bool, original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime, left to itself, looks for the weights of a file in memory
    export(original, FORMATS["onnx"], tmp_path)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(10**6))
    model = onnx.load_model(tmp_path / "model.onnx")
    weights = model.graph.initializer[-1]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=secret.name if is_relative else str(secret))
    outside = tmp_path / "outside.onnx"
    outside.write_bytes(model.SerializeToString())
    assert read_metadata(outside).dataset == "digits"  # to read what it says of itself opens nothing else
    with pytest.raises(InputError, match=r"cannot be loaded: its weights lie in a second file"):
        onnx_file.open_reader(outside)
    with pytest.raises(InputError):
        open_model(outside)


def test_the_int8_file_needs_no_runtime_of_its_own(original: Original, tmp_path: Path) -> None:
    export(original, FORMATS["onnx-int8"], tmp_path, allowed_drop=2.0)
    session = onnxruntime.InferenceSession(tmp_path / "model.int8.onnx")
    assert [(each.name, each.type, each.shape) for each in session.get_inputs()] == [
        ("image", "tensor(float)", ["batch", 28, 28, 1])
    ]
