"""`mnist-cnn read`: rows, constraints and errors. `predict`'s tests are about what both commands share."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from cli import commands
from cli.test_predict_cli import HEAVY
from mnist_cnn.bulk import local_reading
from mnist_cnn.cli.rows import number_rows
from mnist_cnn.reading.numbers import NumberReader, NumberReading, NumberReason
from mnist_cnn.reading.numbers.second_opinion import SecondOpinion
from mnist_cnn.reading.palette import RIGHT, WRONG
from mnist_cnn.reading.recognizer import SHIPPED_WEIGHTS
from reading.numbers import bars
from reading.numbers.columns import ReadsAlways

CSV = ("--format", "csv")
LINES = ("--format", "jsonl")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, text in (("b.png", "48213"), ("a.jpg", "7016")):
        Image.fromarray(bars.line(text, padding=8)).save(folder / name)
    return folder


def call(capsys: pytest.CaptureFixture[str], bars_model: Path, *words: object) -> tuple[int, str, str]:
    return commands.call(capsys, "read", *words, "--model", bars_model)


def expected(bars_model: Path, path: Path, second_opinion: bool = False, **constraint: Any) -> dict[str, Any]:
    reading = NumberReader.load(bars_model, second_opinion=second_opinion).read(path, **constraint)
    record = {"path": str(path), **reading.to_dict()}
    return {**record, "reason": reading.reason} if reading.reason else record


def test_json_lines_say_all_that_the_reader_does(
    pictures: Path, bars_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, bars_model, pictures, *LINES)
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    assert records == [expected(bars_model, pictures / name) for name in ("a.jpg", "b.png")]
    assert "".join(digit["text"] for digit in records[0]["digits"]) == records[0]["text"]
    assert records[0]["digits"][0]["box"].keys() == {"left", "top", "right", "bottom"}


def test_csv_has_exactly_four_columns(pictures: Path, bars_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, bars_model, pictures, "none.png", *CSV)
    assert code == 1
    assert out.startswith("path,text,confidence,accepted\n")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows[0]["text"] == expected(bars_model, pictures / "a.jpg")["text"]
    assert rows[2] == {"path": "none.png", "text": "", "confidence": "", "accepted": "false"}
    assert "none.png" in err


@pytest.mark.parametrize("output", [(), ("--output", "rows.csv")])
def test_the_path_is_before_every_reason(
    output: tuple[str, ...], bars_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Image.new("L", (10_000, 20), 255).save("wide.png")
    _, _, err = call(capsys, bars_model, "wide.png", *(output or CSV))
    rows = Path("rows.csv").read_text("utf-8") if output else err
    assert "wide.png: the picture is 500 times as wide as high. Valid: at most 128 times." in rows
    assert rows.count("wide.png:") == 1


def test_a_table_shows_leading_zeros(pictures: Path, bars_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, bars_model, pictures, "--pattern", "0[0-9]{3}", "--threshold", "0")
    heading, first, _ = out.splitlines()
    assert heading.split() == ["text", "confidence", "accepted", "path"]
    assert first.split()[0] == expected(bars_model, pictures / "a.jpg", pattern="0[0-9]{3}")["text"]
    assert first.split()[0].startswith("0")


def test_a_number_without_digits_has_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("table", "jsonl"):
        number_rows(form).add("empty.png", NumberReading("", 0.0, (), NumberReason.BLANK))
    table, _, line = capsys.readouterr().out.partition("{")
    assert table.splitlines()[1].split() == ["–", "0.00%", "blank", "empty.png"]
    assert json.loads("{" + line)["reason"] == "blank"


@pytest.mark.parametrize(
    ("words", "valid"),
    [
        (("--length", "4"), r"\d{4}"),
        (("--length", "2-3"), r"\d{2,3}"),
        (("--pattern", "(12|34)+"), "(12|34)+"),
        (("--length", "6", "--pattern", "[1-9]*"), "[1-9]{6}"),
    ],
)
def test_a_constraint_decides_what_can_be_read(
    words: tuple[str, ...], valid: str, pictures: Path, bars_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, bars_model, pictures, *words, "--json")
    texts = [record["text"] for record in json.loads(out)["results"]]
    assert code == 0
    assert all(re.fullmatch(valid, text) for text in texts)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["."], "found no images in ."),
        (["x.png", "--length", "0"], "length = '0' is not valid. Valid: a number of digits from 1 to 200"),
        (["x.png", "--pattern", "[a-z]+"], "matches no number"),
        (["x.png", "--pattern", "(((((" + "a?" * 100], "cannot be read"),
        (["x.png", "--pattern", "((((1{9}){9}){9}){9}){9}"], "too complex"),
        (["x.png", "--length", "3", "--pattern", "12"], "matches no number of 3 digits"),
        (["x.png", "--threshold", "2"], "threshold = 2.0"),
        (["x.png", "--threads", "0"], "threads = 0"),
        (["x.png", "--format", "csv", "--json"], "Omit one of them"),
    ],
)
def test_an_invalid_call_ends_with_one_line_and_exit_code_2(
    words: list[str],
    message: str,
    bars_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, bars_model, *words)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert "--json" in words or not out


def test_explain_draws_one_row_per_image(
    pictures: Path, bars_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heights = []
    for paths in ([pictures / "a.jpg"], [pictures, "none.png"]):
        _, out, err = call(capsys, bars_model, *paths, "--output", tmp_path / "sheet.png", *LINES)
        assert f"Explanation: {tmp_path / 'sheet.png'}" in err
        assert all(json.loads(line) for line in out.splitlines())
        with Image.open(tmp_path / "sheet.png") as image:
            heights.append(image.height)
            colours = {colour for _, colour in image.convert("RGB").getcolors(2**24) or []}
            assert ImageColor.getrgb(RIGHT) in colours or ImageColor.getrgb(WRONG) in colours
    assert heights[1] == 2 * heights[0]
    assert call(capsys, bars_model, pictures, "--output", pictures / "b.png")[0] == 2


def test_a_model_of_the_other_kind_names_its_command(
    pictures: Path, bars_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = shutil.copyfile(SHIPPED_WEIGHTS, tmp_path / "my digits.onnx")
    for command, model, words in (
        ("read", digits, "a network for single digits, not for whole numbers. Use Recognizer, or: mnist-cnn predict"),
        ("read", "digits", "`digits` stands for the included weights for single digits. Use: mnist-cnn predict"),
        ("predict", bars_model, "a network for whole numbers, not for single digits. Use NumberReader, or: mnist-cnn"),
        ("predict", "numbers", "`numbers` stands for the included weights for whole numbers. Use: mnist-cnn read"),
    ):
        code, out, err = commands.call(capsys, command, pictures, "--model", model)
        assert (code, out) == (2, "")
        assert words in err
        assert len(err.splitlines()) == 1


def test_a_model_with_the_name_of_the_included_one_is_that_model(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("numbers").mkdir()
    shutil.copyfile(SHIPPED_WEIGHTS, Path("numbers", "model.onnx"))
    for command in ("read", "evaluate"):
        path = "./numbers" if command == "read" else "numbers/model.onnx"
        words = [pictures, "--model", path] if command == "read" else [path, "--dataset", pictures]
        code, _, err = commands.call(capsys, command, *words)
        assert code == 2
        assert f"{Path('numbers', 'model.onnx')} is a network for single digits, not for whole numbers" in err


def test_a_folder_of_pictures_may_be_called_numbers(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, "numbers")
    code, _, err = commands.call(capsys, "read", "numbers", "--model", "numbers")
    assert code == 0, err


def test_an_impossible_picture_is_refused_before_the_work(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "folder.png").mkdir()
    for command in ("read", "predict"):
        for name in ("file/sheet.png", "folder.png", f"{'x' * 300}.png"):
            code, out, err = commands.call(capsys, command, pictures, "--output", tmp_path / name)
            assert (code, out) == (1, "")
            assert f"{tmp_path / name} was not written" in err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.png"]
    assert (tmp_path / "file").read_text("utf-8") == "mine"


def test_only_the_reading_side_is_needed(pictures: Path, bars_model: Path, tmp_path: Path) -> None:
    """As with the base install only; the picture comes through standard input."""
    program = f"import sys; sys.modules.update(dict.fromkeys({HEAVY})); from mnist_cnn.cli import main; main()"
    words = [sys.executable, "-c", program, "read", "-", "--model", str(bars_model), *LINES]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with (pictures / "b.png").open("rb") as picture:
        finished = subprocess.run(words, stdin=picture, capture_output=True, text=True, timeout=60, env=environment)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {**expected(bars_model, pictures / "b.png"), "path": "-"}
    assert list(tmp_path.rglob("*")) == []


def test_a_second_opinion_is_asked_for_in_one_word(
    pictures: Path, bars_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def load() -> SecondOpinion:
        asked.append("second opinion")
        return SecondOpinion(ReadsAlways("48213"), np.arange(11))

    monkeypatch.setattr(SecondOpinion, "load", load)
    _, out, _ = call(capsys, bars_model, pictures, *LINES, "--second-opinion")
    assert asked == ["second opinion"]
    records = [json.loads(line) for line in out.splitlines()]
    paths = [pictures / name for name in ("a.jpg", "b.png")]
    assert records == [expected(bars_model, path, second_opinion=True) for path in paths]
    assert records != [expected(bars_model, path) for path in paths]


def test_processes_read_what_threads_read(
    pictures: Path, bars_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_reading, "_SOON", 0.0)
    words = (*[pictures / name for name in ("b.png", "a.jpg", "b.png")], *LINES, "--threshold", 0.2, "--threads")
    constrained = ("--pattern", "[1-46-9]+", "--length", 4)
    processes, threads = (call(capsys, bars_model, *words, count, *constrained) for count in (2, 1))
    assert processes == threads
    assert threads[1] != call(capsys, bars_model, *words, 1)[1]


@pytest.mark.parametrize(("command", "name"), [("read", "numbers"), ("predict", "digits")])
def test_the_included_weights_have_a_name(
    command: str, name: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named, plain = (
        commands.call(capsys, command, pictures / "b.png", *words, *CSV) for words in (("--model", name), ())
    )
    assert named == plain
    assert named[0] == 0


def test_a_table_is_read_with_the_same_network_and_pattern(
    pictures: Path, bars_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (pictures, "--pattern", "[1-9]+", "--threshold", "0")
    plain = call(capsys, bars_model, *words, *CSV)[1]
    assert call(capsys, bars_model, *words, "--output", tmp_path / "rows.csv")[0] == 0
    rows = list(csv.reader((tmp_path / "rows.csv").open(encoding="utf-8", newline="")))
    assert [row[:4] for row in rows] == [row[:4] for row in csv.reader(io.StringIO(plain))]
