"""`mnist-cnn evaluate` and `mnist-cnn export` with a network for whole numbers."""

from __future__ import annotations

import csv
import html
import json
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import commands
from cli.test_predict_cli import HEAVY
from mnist_cnn.bulk import local_reading
from mnist_cnn.bulk.job import Job
from mnist_cnn.environment.processes import process_pool
from mnist_cnn.reading.numbers import NumberReader, number_reader
from mnist_cnn.reading.numbers.second_opinion import THRESHOLD, SecondOpinion
from reading.numbers import bars
from reading.numbers.columns import ReadsAlways

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


def test_many_pictures_are_read_in_processes_with_the_same_result(
    bars_model: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("evaluate", bars_model, "--dataset", pictures, "--pattern", "[1-9]+", "--json")
    in_threads = commands.call(capsys, *words)
    started: list[Job] = []

    def begin(workers: int, *, shared: Job) -> ProcessPoolExecutor:
        started.append(shared)
        return process_pool(workers, shared=shared)

    monkeypatch.setattr(local_reading, "_SOON", 0.0)
    monkeypatch.setattr(local_reading, "process_pool", begin)
    monkeypatch.setattr(number_reader, "usable_cores", lambda: 2)
    assert commands.call(capsys, *words) == in_threads
    assert [job.pattern for job in started] == ["[1-9]+"]


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


def test_labels_that_cannot_be_read_under_a_constraint_are_counted(
    bars_model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", bars_model, "--dataset", pictures, "--json"]
    _, out, err = commands.call(capsys, *words, "--length", "3", "--pattern", r"5\d*")
    unfit = json.loads(out)["unfit_labels"]
    assert unfit == 3  # all but d.png: 555
    note = (
        "NOTE: labels that do not fit --length and --pattern, so that their pictures cannot be read right: 3 (a.png: "
    )
    assert note in err.replace("\n", " ")
    _, out, err = commands.call(capsys, *words, "--length", "1-20")
    assert json.loads(out)["unfit_labels"] == 0
    assert "do not fit" not in err


def test_a_picture_that_is_too_wide_is_named(
    bars_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (10_000, 20), 255).save(tmp_path / "wide.png")
    (tmp_path / "labels.csv").write_text("file,text\nwide.png,1\n", encoding="utf-8")
    _, _, err = commands.call(capsys, "evaluate", bars_model, "--dataset", tmp_path, "--json")
    assert f"The first: {tmp_path / 'wide.png'}: the picture is 500 times as wide as high" in err.replace("\n", "")


def test_what_is_known_is_known_as_in_reading(
    bars_model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", bars_model, "--dataset", pictures, "--json"]
    code, out, _ = commands.call(capsys, *words, "--length", "1-9", "--pattern", r"\d+")
    command = json.loads(out)["command"]
    assert code == 0
    assert f"PICTURES --model {bars_model} --length 1-9 --pattern '\\d+' --threshold" in command
    how = ["--length", "3", "--pattern", r"[1-9]\d*"]
    commands.call(capsys, *words, *how, "--output", tmp_path / "out")
    report = html.unescape((tmp_path / "out" / "report.html").read_text("utf-8"))
    assert f"--dataset {pictures} --length 3 --pattern '[1-9]\\d*'" in report
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        read = {row["file"]: row["read"] for row in csv.DictReader(file)}
    names = [str(pictures / name) for name in ("a.png", "b.png", "c.png")]
    _, out, _ = commands.call(capsys, "read", *names, "--model", bars_model, *how, "--json")
    texts = [each["text"] for each in json.loads(out)["results"]]
    assert texts == [read[Path(name).name] for name in names]
    assert {len(text) for text in texts} == {3}


def test_a_second_opinion_is_asked_for_as_in_reading(
    bars_model: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SecondOpinion, "load", lambda: SecondOpinion(ReadsAlways("7016"), np.arange(11)))
    words = ["evaluate", bars_model, "--dataset", pictures, "--json"]
    (alone, both) = (json.loads(commands.call(capsys, *words, *more)[1]) for more in ([], ["--second-opinion"]))
    assert both["own_threshold"]["threshold"] == THRESHOLD != alone["own_threshold"]["threshold"]
    assert both["command"] is None or "--second-opinion --threshold" in both["command"]


def test_pictures_without_a_label_are_named(
    bars_model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(pictures, tmp_path / "codes")
    (folder / "sub").mkdir()
    for name in ("sub/z.png", "e.png", "f.JPG", "g.png", ".hidden.png", "notes.txt"):
        shutil.copyfile(folder / "a.png", folder / name)
    code, out, err = commands.call(capsys, "evaluate", bars_model, "--dataset", folder, "--json")
    record = json.loads(out)
    assert (code, record["n"], record["unlabelled"]) == (0, 4, 4)
    assert "labels.csv, and do not count: 4 (e.png, f.JPG, g.png, …). To count them, add a line for each." in err
    _, out, err = commands.call(capsys, "evaluate", bars_model, "--dataset", pictures, "--json")
    assert json.loads(out)["unlabelled"] == 0
    assert "do not count" not in err


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
        (["evaluate", "", "--dataset", "."], "'MODEL': the path is empty. Give a path. See: "),
        (["evaluate", "numbers", "--dataset", ".", "--split", "test"], "--split is not possible here"),
        (["evaluate", "numbers", "--dataset", ".", "--corruptions"], "--corruptions is not possible here"),
        (["evaluate", "numbers", "--dataset", ".", "--scale", "1"], "--scale is not possible here"),
        (["evaluate", "numbers", "--dataset", ".", "--data-dir", "."], "--data-dir is not possible here"),
        (["evaluate", "numbers", "--corruptions"], "--corruptions is not possible here. Omit it"),
        (["evaluate", "numbers", "--dataset", ".", "--length", "0"], "length = '0' is not valid"),
        (["evaluate", "numbers", "--dataset", ".", "--pattern", r"\d["], r"the pattern '\d[' cannot be read"),
        (["evaluate", "digits", "--length", "4"], "--length is not possible here. digits reads single digits"),
        (["evaluate", "digits", "--second-opinion"], "--second-opinion is not possible here"),
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


def test_an_impossible_report_is_refused_before_the_work(
    bars_model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    words = ("evaluate", bars_model, "--dataset", pictures, "--output", tmp_path / "file" / "out")
    code, out, err = commands.call(capsys, *words)
    assert (code, out) == (1, "")
    assert "report.html was not written" in err
    assert "is a file, not a folder" in err


def test_only_the_formats_of_the_included_weights_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = commands.call(capsys, "export", "numbers", "--list", "--json")
    (listed,) = json.loads(out)["formats"]
    assert (listed["format"], listed["file"], listed["available"]) == ("onnx", "numbers.onnx", "yes")
    _, out, _ = commands.call(capsys, "export", "--list", "--json")
    assert len(json.loads(out)["formats"]) > 1


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
