"""`mnist-cnn export` as its user meets it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="EXPORTS NOT TESTED: pip install '.[export]'")

import onnxruntime

from mnist_cnn.cli.app import main
from mnist_cnn.config import load_recipe, override
from mnist_cnn.datasets import load_dataset
from mnist_cnn.environment.installation import install_command
from mnist_cnn.export.formats import FORMATS
from mnist_cnn.runs import create_run
from mnist_cnn.training.trainer import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch on the bundled digits."""
    settings = {
        "data.dataset": "digits",
        "model.arguments": {"filters": [4, 8, 8]},
        "training.epochs": 1,
        "training.batch_size": 32,
    }
    folder = create_run(tmp_path_factory.mktemp("runs"), "tiny")
    train(override(load_recipe("conv3"), settings), load_dataset("digits"), folder)
    return folder.root


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(["export", *words])
    printed = capsys.readouterr()
    return int(exit_.value.code or 0), printed.out, printed.err


def test_a_run_leaves_as_onnx(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, str(run))
    assert code == 0
    assert "Compared with the Keras model on 359 images of digits" in out
    assert f"Files: {run / 'exports'}" in out
    metadata = FORMATS["onnx"].read_metadata(run / "exports" / "model.onnx")
    assert (metadata.architecture, metadata.dataset) == ("conv3", "digits")
    assert metadata.accuracy is not None
    assert metadata.accuracy > 0.3
    assert metadata.temperature != 1
    onnxruntime.InferenceSession(run / "exports" / "model.onnx")


def test_several_formats_give_one_object(run: Path, tmp_path: Path) -> None:
    words = [
        "export",
        str(run),
        "--format",
        "onnx,keras",
        "--format",
        "litert-int8",
        "--allow-drop",
        "9",
        "--output",
        str(tmp_path),
        "--json",
    ]
    shell = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}  # set by Keras here
    command = [sys.executable, "-m", "mnist_cnn", *words]
    finished = subprocess.run(command, env=shell, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr
    record = json.loads(finished.stdout)
    assert [each["format"] for each in record["exports"]] == ["onnx", "litert-int8", "keras"]
    for each in record["exports"]:
        assert Path(each["path"]).stat().st_size == each["bytes"]
        if each["format"] != "litert-int8":
            assert each["max_difference"] <= 1e-4
            assert each["drop_points"] == 0
    assert record["failed"] == {}
    for noise in ("tensorflow", "Warning", "INFO", "0000"):
        assert noise not in finished.stderr


def test_one_format_fails_and_the_others_go_on(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def without_openvino(name: str, package: str | None = None) -> Any:
        return None if name == "openvino" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_openvino)
    code, out, _ = call(capsys, str(run), "--format", "openvino,keras", "--output", str(tmp_path), "--json")
    record = json.loads(out)
    assert code == 2
    assert [each["format"] for each in record["exports"]] == ["keras"]
    command = install_command(["export"])
    assert f"Install it with: {command}" in record["failed"]["openvino"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]
    code, out, _ = call(capsys, "--list", "--json")
    available = {each["format"]: each["available"] for each in json.loads(out)["formats"]}
    assert available["keras"] == "yes"
    assert available["openvino"] == command


def test_the_list_is_honest_where_keras_is_missing(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, package=None: None if name == "keras" else find(name, package)
    )
    _, out, _ = call(capsys, "--list", "--json")
    assert {each["available"] for each in json.loads(out)["formats"]} == {install_command(["train"])}
    code, _, err = call(capsys, str(run), "--format", "keras")
    assert code == 2
    assert "needs keras" in err


@pytest.mark.parametrize("name", ["model.keras", "openvino"])
def test_what_is_no_export_is_not_replaced(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cnn.export import original

    monkeypatch.setattr(original, "read_model", lambda *_, **__: pytest.fail("work has begun"))
    model = (run / "model.keras").read_bytes()
    folder = run if name == "model.keras" else tmp_path
    if name == "openvino":
        (tmp_path / name).mkdir()
    code, _, err = call(capsys, str(run), "--format", "onnx,keras,openvino", "--output", str(folder))
    assert code == 2
    assert str(folder / name) in err.replace("\n", "")
    assert "--output" in err
    assert (run / "model.keras").read_bytes() == model
    assert not (folder / "model.onnx").exists()


def test_the_list_needs_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--list")
    assert code == 0
    for word in ("onnx-int8", "model.int8.tflite", "OpenVINO", "saved_model"):
        assert word in out


def test_a_file_alone_says_what_it_does_not_know(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, str(run / "model.keras"), "--output", str(tmp_path))
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
        ([], "no model is named"),
        (["nowhere"], "there is no model nowhere"),
        (["RUN", "--format", "onxx"], "there is no format 'onxx'. Did you mean 'onnx'"),
        (["RUN", "--dataset", "digits"], "brings its own data set"),
        (["UNFINISHED"], "is not finished"),
    ],
)
def test_mistakes_are_explained(
    words: list[str], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").touch()
    places = {"RUN": str(run), "UNFINISHED": str(tmp_path)}
    code, _, err = call(capsys, *(places.get(word, word) for word in words))
    assert code == 2
    assert message in err.replace("\n", " ")
