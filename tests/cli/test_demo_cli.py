"""`mnist-cnn demo`: the sample pictures, read and explained."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from PIL import Image

from cli.commands import call
from mnist_cnn.reading.samples import LABELS, SAMPLES


def test_it_reads_the_samples_and_leaves_them_to_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, first, err = call(capsys, "demo")
    assert (code, err) == (0, "")
    rows = [line.split() for line in first.splitlines()[1 : len(LABELS) + 1]]
    assert [int(row[0]) if row[2] == "yes" else None for row in rows] == list(LABELS.values())
    assert max(map(len, first.splitlines()[: len(LABELS) + 1])) <= 80
    assert all(Path("demo/pictures", name).read_bytes() == (SAMPLES / name).read_bytes() for name in LABELS)
    with Image.open("demo/explanation.png") as picture:
        assert picture.height > 100 * len(LABELS)
    code, again, _ = call(capsys, "predict", "demo/pictures")
    assert code == 0
    assert sorted(again.splitlines()) == sorted(first.splitlines()[: len(LABELS) + 1])


def test_the_next_commands_run_without_an_activated_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    monkeypatch.setattr("sys.argv", [".venv/bin/mnist-cnn", "demo"])
    _, out, _ = call(capsys, "demo", "--output", tmp_path, "--no-open")
    assert f"  .venv/bin/mnist-cnn predict {tmp_path / 'pictures'}\n" in out
    assert "  .venv/bin/mnist-cnn serve --open\n" in out


def test_a_second_demo_prints_one_object_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "demo", "--output", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code, out, _ = call(capsys, "demo", "--output", tmp_path, "--json")
    record = json.loads(out)
    assert (code, record["images"], record["unreadable"]) == (0, len(LABELS), 0)
    assert record["explanation"] == str(tmp_path / "explanation.png")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_file_of_the_user_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "explanation.png"
    mine.write_text("mine")
    code, out, err = call(capsys, "demo", "--output", tmp_path)
    assert (code, out) == (2, "")
    assert f"{mine} already exists and is not from this demo" in err
    assert mine.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [mine]


@pytest.mark.parametrize(
    ("words", "desktop", "opens"), [([], True, True), (["--no-open"], True, False), ([], False, False)]
)
def test_the_explanation_is_opened_on_a_desktop(
    words: list[str],
    desktop: bool,
    opens: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    monkeypatch.setattr("mnist_cnn.cli.demo.has_desktop", lambda: desktop)
    call(capsys, "demo", "--output", tmp_path, *words)
    assert opened == [str(tmp_path / "explanation.png")] * opens
