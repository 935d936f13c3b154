"""`mnist-cnn export`."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="EXPORTS NOT TESTED: pip install '.[export]'")

from cli import commands
from mnist_cnn.environment.installation import install_command
from mnist_cnn.export.formats import FORMATS


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    return commands.call(capsys, "export", *words)


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make a package look as if it were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *words: None if name == package else find(name, *words)
    )


def test_a_run_becomes_an_onnx_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, run, "--output", tmp_path)
    assert code == 0
    assert "Compared with the Keras model on 359 images of digits" in out
    assert f"Files: {tmp_path}" in out
    metadata = FORMATS["onnx"].read_metadata(tmp_path / "model.onnx")
    assert (metadata.architecture, metadata.dataset) == ("conv3", "digits")
    assert metadata.accuracy is not None
    assert metadata.accuracy > 0.3
    assert metadata.temperature != 1


@pytest.mark.slow
def test_several_formats_give_one_object_without_messages_of_tensorflow(run: Path, tmp_path: Path) -> None:
    words = [
        *("export", str(run), "--format", "onnx,keras", "--format", "litert-int8", "--allow-drop", "9"),
        *("--output", str(tmp_path), "--json"),
    ]
    shell = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}  # set by Keras here
    shell["COLUMNS"] = "80"
    finished = subprocess.run([*commands.COMMAND, *words], env=shell, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr
    record = json.loads(finished.stdout)
    assert [each["format"] for each in record["exports"]] == ["onnx", "litert-int8", "keras"]
    for each in record["exports"]:
        assert Path(each["path"]).name in finished.stderr.split()  # whole, not wrapped
        assert Path(each["path"]).stat().st_size == each["bytes"]
        if each["format"] != "litert-int8":
            assert each["max_difference"] <= 1e-4
            assert each["drop_points"] == 0
    assert record["failed"] == {}
    for noise in ("tensorflow", "Warning", "INFO", "0000"):
        assert noise not in finished.stderr


def test_one_format_fails_and_the_others_are_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "openvino")
    code, out, _ = call(capsys, run, "--format", "openvino,keras", "--output", tmp_path, "--json")
    record = json.loads(out)
    assert code == 2
    assert [each["format"] for each in record["exports"]] == ["keras"]
    command = install_command(["export"])
    assert f"Install it with: {command}" in record["failed"]["openvino"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]
    _, out, _ = call(capsys, "--list", "--json")
    available = {each["format"]: each["available"] for each in json.loads(out)["formats"]}
    assert available["keras"] == "yes"
    assert available["openvino"] == command


def test_the_list_reports_a_missing_keras(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "keras")
    _, out, _ = call(capsys, "--list", "--json")
    assert {each["available"] for each in json.loads(out)["formats"]} == {install_command(["train"])}
    _, out, _ = call(capsys, "--list")
    assert out.replace("\n", "").count(str(install_command(["train"]))) == 1
    code, _, err = call(capsys, run, "--format", "keras")
    assert code == 2
    assert "keras is not installed" in err


def test_a_missing_converter_is_named_before_the_digits_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    from keras import layers

    from mnist_cnn.datasets import ResolvedDataset

    hide(monkeypatch, "tf2onnx")
    monkeypatch.setattr(ResolvedDataset, "load", lambda *_: pytest.fail("the digits were read"))
    scaled = [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Activation("leaky_relu"), layers.Flatten()]
    keras.Sequential([*scaled, layers.Dense(10, activation="softmax")]).save(tmp_path / "other.keras")
    code, _, err = call(capsys, tmp_path / "other.keras", "--dataset", "digits")
    assert code == 2
    assert "'export': tf2onnx is not installed" in err


@pytest.mark.parametrize("name", ["model.keras", "openvino"])
def test_only_an_earlier_export_is_replaced(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cnn.export import original

    monkeypatch.setattr(original, "read_model", lambda *_, **__: pytest.fail("the model was read"))
    before = (run / "model.keras").read_bytes()
    folder = run if name == "model.keras" else tmp_path
    if name == "openvino":
        (tmp_path / name).mkdir()
    code, _, err = call(capsys, run, "--format", "onnx,keras,openvino", "--output", folder)
    assert code == 2
    assert str(folder / name) in err.replace("\n", "")
    assert "--output" in err
    assert (run / "model.keras").read_bytes() == before
    assert not (folder / "model.onnx").exists()


def test_a_file_without_a_data_set_says_so(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, run / "model.keras", "--output", tmp_path)
    assert code == 0
    assert "no data set is given" in out
    assert FORMATS["onnx"].read_metadata(tmp_path / "model.onnx").accuracy is None
    code, out, _ = call(
        capsys, str(run / "model.keras"), "--dataset", "digits", "--format", "onnx-int8", "--allow-drop", "9",
        "--output", str(tmp_path),
    )  # fmt: skip
    assert code == 0
    assert FORMATS["onnx"].read_metadata(tmp_path / "model.int8.onnx").accuracy is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no model is given"),
        (["nowhere"], "there is no model nowhere"),
        (["RUN", "--format", "onxx"], "Did you mean 'onnx'"),
        (["RUN", "--dataset", "digits"], "Omit --dataset"),
        (["UNFINISHED"], "is not finished"),
    ],
)
def test_an_invalid_call_is_explained(
    words: list[str], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").touch()
    places: dict[str, Any] = {"RUN": run, "UNFINISHED": tmp_path}
    code, _, err = call(capsys, *(places.get(word, word) for word in words))
    assert code == 2
    assert message in err.replace("\n", " ")
