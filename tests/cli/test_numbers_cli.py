"""`mnist-cnn evaluate` and `mnist-cnn export` with a network for whole numbers."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cli import commands
from cli.test_predict_cli import HEAVY
from mnist_cnn.reading.numbers import NumberReader
from reading.numbers import bars

TEXTS = {"a.png": "48213", "b.png": "7016", "c.png": "55", "d.png": "555"}
BASE = sorted({*HEAVY, "jinja2"} - {"pydantic", "rich"})  # what a base install lacks


@pytest.fixture(scope="module")
def pictures(bars_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures with the right labels, whatever the network reads, but that of c.png; d.png is broken."""
    folder = tmp_path_factory.mktemp("codes")
    for name, text in TEXTS.items():
        Image.fromarray(bars.line(text, padding=8)).save(folder / name)
    labels = [(name, NumberReader.load(bars_model).read(folder / name).text) for name in ("a.png", "b.png")]
    (folder / "d.png").write_bytes(b"no picture")
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "text"), *labels, ("c.png", "9"), ("d.png", "555")])
    return folder


def test_the_counts_are_printed_and_reported(
    bars_model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = commands.call(
        capsys, "evaluate", bars_model, "--dataset", pictures, "--output", tmp_path / "out", "--json"
    )
    record = json.loads(out)
    assert code == 0
    assert (record["n"], record["numbers"], record["right"], record["unreadable"]) == (4, 4, 2, 1)
    assert record["accuracy_interval"] == pytest.approx([0.15, 0.85], abs=0.01)
    threshold = record["suggested_threshold"]["threshold"]
    assert record["command"] == f"mnist-cnn read PICTURES --model {bars_model} --threshold {threshold}"
    assert "pictures that could not be read, and count as not read: 1." in err
    assert str(pictures / "d.png") in err.replace("\n", "")
    assert Path(record["report"]) == tmp_path / "out" / "report.html"
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == list(TEXTS)
    code, out, _ = commands.call(capsys, "read", pictures, "--model", bars_model, "--threshold", threshold, "--json")
    accepted = [Path(each["path"]).name for each in json.loads(out)["results"] if each["accepted"]]
    assert len(accepted) == record["suggested_threshold"]["accepted"]


def test_only_the_base_install_is_needed_without_a_report(bars_model: Path, pictures: Path, tmp_path: Path) -> None:
    program = f"import sys; sys.modules.update(dict.fromkeys({BASE})); from mnist_cnn.cli import main; main()"
    words = [sys.executable, "-c", program, "evaluate", str(bars_model), "--dataset", str(pictures)]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "Numbers read without any error: 2 of 4, 50.00%" in finished.stdout
    finished = subprocess.run([*words, "--output", str(tmp_path / "out")], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 2
    assert "this needs the extra 'train'" in finished.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "numbers"], "Name a folder of pictures with labels.csv: --dataset FOLDER"),
        (
            ["evaluate", "numbers", "--dataset", "mnist"],
            "there is no folder mnist. Give a folder of pictures with labels.csv",
        ),
        (["evaluate", "numbers", "--dataset", ".", "--split", "test"], "--split is not possible here"),
        (["evaluate", "numbers", "--dataset", ".", "--scale", "1"], "--scale is not possible here"),
        (["evaluate", "numbers", "--dataset", ".", "--data-dir", "."], "--data-dir is not possible here"),
        (["evaluate", "none.onnx", "--dataset", "PICTURES"], "there is no model none.onnx"),
        (["export", "numbers", "--format", "onnx,litert"], "numbers cannot be written as litert"),
        (["export", "numbers", "--dataset", "mnist"], "--dataset is not possible here"),
        (["export", "numbers", "--allow-drop", "1"], "--allow-drop is not possible here"),
    ],
)
def test_an_invalid_call_is_explained(
    words: list[str],
    message: str,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = commands.call(capsys, *(pictures if word == "PICTURES" else word for word in words))
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_included_weights_are_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = commands.call(capsys, "export", "numbers", "--json")
    (exported,) = json.loads(out)["exports"]
    assert code == 0
    assert Path(exported["path"]) == Path("exports", "numbers.onnx")
    assert exported["bytes"] == Path("exports", "numbers.onnx").stat().st_size
    assert sorted(each.name for each in Path("exports").iterdir()) == ["README.md", "numbers.onnx"]
