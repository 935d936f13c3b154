"""`mnist-cnn predict` as its user meets it: rows that stream, files that cannot be read, pipes that close."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from mnist_cnn.cli import terminal
from mnist_cnn.cli.app import main
from mnist_cnn.datasets import load_dataset
from mnist_cnn.reading.recognizer import Recognizer

COMMAND = [sys.executable, "-m", "mnist_cnn", "predict"]
HEAVY = ("keras", "tensorflow", "jax", "torch", "matplotlib", "scipy", "sklearn", "pydantic", "rich", "h5py", "onnx")


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(["predict", *map(str, words)])
    printed = capsys.readouterr()
    return int(exit_.value.code or 0), printed.out, printed.err


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of readable drawings, two of them in a folder inside, and things that are to be passed over."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "inside").mkdir()
    (folder / ".hidden").mkdir()
    names = ["b.png", "a.PNG", "inside/d.jpg", "inside/c.bmp", ".secret.png", ".hidden/e.png"]
    for name, image in zip(names, load_dataset("digits").images, strict=False):
        Image.fromarray(255 - np.kron(image, np.ones((4, 4), np.uint8))).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "damaged.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    return path


def expected(path: Path) -> dict[str, Any]:
    reading = Recognizer.load().read(path)
    return {"path": str(path), "digit": reading.digit, "confidence": pytest.approx(reading.confidence, abs=1e-5),
            "accepted": reading.accepted} | ({"reason": reading.reason} if reading.reason else {})  # fmt: skip


def test_folders_are_read_in_order_without_what_is_hidden(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, pictures, "--format", "jsonl")
    assert code == 0
    assert not err
    found = [json.loads(line) for line in out.splitlines()]
    assert found == [expected(pictures / name) for name in ("a.PNG", "b.png", "inside/c.bmp", "inside/d.jpg")]


def test_an_unreadable_file_has_its_row_and_the_rest_goes_on(
    pictures: Path, damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [pictures / "a.PNG", damaged, "none.png", pictures / "b.png"]
    code, out, err = call(capsys, *words, "--format", "csv")
    assert code == 1
    assert out.splitlines()[0] == "path,digit,confidence,accepted"
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["path"] for row in rows] == [str(word) for word in words]
    assert [row["digit"] != "" for row in rows] == [True, False, False, True]
    assert rows[1] == {"path": str(damaged), "digit": "", "confidence": "", "accepted": "false"}
    assert len(err.splitlines()) == 2
    code, out, _ = call(capsys, *words, "--json")
    assert code == 1
    record = json.loads(out)
    assert (record["images"], record["unreadable"]) == (4, 2)
    assert "none.png" in record["results"][2]["error"]
    code, out, _ = call(capsys, *words)
    assert code == 1
    assert [line.split()[3] for line in out.splitlines()] == ["path", *map(str, words)]
    assert "does not exist" in out


def test_csv_quotes_what_needs_it(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / 'a, "b".png'
    odd.write_bytes((pictures / "b.png").read_bytes())
    _, out, _ = call(capsys, odd, "--format", "csv")
    assert next(csv.DictReader(io.StringIO(out)))["path"] == str(odd)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["."], "there is no image in ."),
        ([], "Missing argument"),
        (["x.png", "--model", "none.onnx"], "there is no model none.onnx"),
        (["x.png", "--threshold", "2"], "threshold = 2.0"),
        (["x.png", "--threads", "0"], "threads = 0"),
        (["x.png", "--format", "xml"], "--format"),
        (["x.png", "--format", "csv", "--json"], "Leave one of them out"),
    ],
)
def test_the_caller_s_mistakes_are_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *words)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert "--json" in words or not out


def test_the_threshold_decides_what_is_accepted(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for threshold, accepted in (("0", True), ("1", False)):
        _, out, _ = call(capsys, pictures / "inside", "--format", "jsonl", "--threshold", threshold)
        sure = [json.loads(line)["confidence"] == 1 for line in out.splitlines()]
        assert [json.loads(line)["accepted"] for line in out.splitlines()] == [accepted or each for each in sure]


def test_an_image_comes_through_standard_input(pictures: Path) -> None:
    for name in ("b.png", "inside/d.jpg", "inside/c.bmp"):
        words = [*COMMAND, "-", "--format", "jsonl"]
        finished = subprocess.run(words, input=(pictures / name).read_bytes(), capture_output=True, timeout=60)
        assert finished.returncode == 0, finished.stderr
        assert json.loads(finished.stdout) == {**expected(pictures / name), "path": "-"}


def test_rows_come_while_paths_are_still_being_written(pictures: Path, damaged: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "-", "--format", "jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        for path in (pictures / "a.PNG", damaged, pictures / "b.png"):
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["path"] == str(path)  # without waiting for the next
        process.stdin.write(f"{pictures}\r\n\n{pictures / 'b.png'}")  # a folder; an empty line; no end of line
        process.stdin.close()
        assert len(process.stdout.readlines()) == 5
        assert process.wait(60) == 1


def test_a_closed_pipe_ends_it_quietly(pictures: Path) -> None:
    words = [*COMMAND, *[str(pictures / "b.png")] * 3000, "--format", "csv"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("path,")
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait(60)


def test_ctrl_c_ends_with_130(pictures: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would all that it starts, these tests included.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(f"{pictures / 'b.png'}\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == "Interrupted.\n"


def test_explain_draws_one_row_per_image(
    pictures: Path, damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heights = []
    for words in ([pictures / "a.PNG"], [pictures, damaged]):
        sheet = tmp_path / "sheet.png"
        _, out, err = call(capsys, *words, "--explain", "--output", sheet, "--format", "jsonl")
        assert f"Explanation: {sheet}" in err
        assert all(json.loads(line) for line in out.splitlines())
        with Image.open(sheet) as image:
            heights.append(image.height)
            assert len(image.convert("RGB").getcolors(2**24) or []) > 50
    assert heights[1] == 4 * heights[0]


def test_only_the_reading_side_is_needed(pictures: Path) -> None:
    """As on a machine with the base alone; a plain call even starts without pydantic and Rich."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({HEAVY}))"
    program = f"{blocked}; from mnist_cnn.cli import main; main()"
    words = [sys.executable, "-c", program, "predict", str(pictures)]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    assert len(finished.stdout.splitlines()) == 5


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="measures with wait4")
def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(np.full((2000, 2000), 255, np.uint8)).save(large)  # 4 MB in memory, each

    def peak(count: int) -> float:
        with subprocess.Popen([*COMMAND, *[str(large)] * count], stdout=subprocess.DEVNULL) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # MB

    assert peak(60) < peak(12) + 100


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("patience", "shown"), [(0.0, True), (1000.0, False)])
def test_a_bar_appears_only_when_it_takes_long(patience: float, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = FakeTerminal()
    monkeypatch.setattr(terminal, "_PATIENCE", patience)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with terminal.SlowBar(lambda: 50) as bar:
        for _ in range(50):
            bar.advance()
    assert ("50/50" in screen.getvalue()) == shown


def predict(*words: object, stdin: bytes = b"", **settings: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, words)], input=stdin, capture_output=True, **settings)


def test_a_file_name_cannot_forge_rows(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "new\nline\x1b[31m.png"
    path.write_bytes((pictures / "b.png").read_bytes())
    (row,) = csv.DictReader(io.StringIO(predict(path, "--format", "csv").stdout.decode(), newline=""))
    assert row["path"] == str(path)
    assert predict(path).stdout.decode().count("\n") == 2


def test_a_path_that_cannot_even_be_looked_at_has_its_row(pictures: Path) -> None:
    finished = predict(pictures / "b.png", "x" * 300, pictures / "a.PNG", "--format", "csv")
    assert [line.split(",")[1] != "" for line in finished.stdout.decode().splitlines()[1:]] == [True, False, True]
    assert finished.returncode == 1
    assert b"too long" in finished.stderr


def test_a_named_pipe_in_a_folder_is_passed_over(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes((pictures / "b.png").read_bytes())
    os.mkfifo(tmp_path / "a.png")
    finished = predict(tmp_path, "--format", "csv", timeout=60)
    assert finished.returncode == 0
    assert finished.stdout.count(b"\n") == 2


def test_the_first_bytes_of_an_image_may_come_alone(pictures: Path) -> None:
    content = (pictures / "b.png").read_bytes()
    with subprocess.Popen([*COMMAND, "-", "--format", "csv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(content[:3])
        process.stdin.flush()
        time.sleep(1)  # longer than the command takes to start and read
        output, _ = process.communicate(content[3:])
    assert process.returncode == 0
    assert output.splitlines()[1].startswith(b"-,")


def test_a_list_of_paths_may_begin_with_a_byte_order_mark(pictures: Path) -> None:
    listed = b"\xef\xbb\xbf" + os.fsencode(pictures / "b.png") + b"\r\n"
    assert predict("-", stdin=listed).returncode == 0


@pytest.mark.parametrize("name", ["notes.txt", "picture"])
def test_explain_refuses_what_is_no_picture_before_it_reads(pictures: Path, name: str, tmp_path: Path) -> None:
    finished = predict(pictures, "--explain", "--output", tmp_path / name)
    assert finished.returncode == 2
    assert finished.stdout == b""
    assert b"Valid endings: .png" in finished.stderr


@pytest.mark.parametrize("whole_folder", [True, False])
def test_explain_never_overwrites_an_image_that_it_reads(pictures: Path, tmp_path: Path, whole_folder: bool) -> None:
    path = tmp_path / "mine.png"
    path.write_bytes((pictures / "b.png").read_bytes())
    finished = predict(tmp_path if whole_folder else path, "--explain", "--output", path)
    assert finished.returncode == 2
    assert path.read_bytes() == (pictures / "b.png").read_bytes()


def test_nothing_is_left_in_the_home_folder(pictures: Path, tmp_path: Path) -> None:
    """ONNX Runtime would keep a device's number and a queue of reports there."""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    assert predict(pictures / "b.png", env=environment).returncode == 0
    assert list(tmp_path.rglob("*")) == []


def test_a_blank_picture_has_no_digit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (90, 90), 255).save(tmp_path / "blank.png")
    _, table, _ = call(capsys, tmp_path)
    assert table.splitlines()[1].split()[0::2] == ["–", "blank"]
    code, lines, _ = call(capsys, tmp_path, "--format", "jsonl")
    record = json.loads(lines)
    assert (code, record["digit"], record["accepted"], record["reason"]) == (0, None, False, "blank")


def test_two_digits_are_not_accepted_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paper = Image.new("L", (300, 160), 255)
    ImageDraw.Draw(paper).text((40, 20), "2 6", 0, ImageFont.load_default(120))
    paper.save(tmp_path / "two.png")
    _, lines, _ = call(capsys, tmp_path, "--format", "jsonl")
    assert (json.loads(lines)["accepted"], json.loads(lines)["reason"]) == (False, "several")


def test_a_name_that_is_no_unicode_comes_back_in_csv(pictures: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(name)).write_bytes((pictures / "b.png").read_bytes())
    assert name in predict(os.fsdecode(name), "--format", "csv").stdout


def test_a_closed_standard_input_is_named() -> None:
    finished = subprocess.run([*COMMAND, "-"], stdin=None, capture_output=True, preexec_fn=lambda: os.close(0))
    assert finished.returncode == 2
    assert b"standard input is closed" in finished.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_one_line(pictures: Path, unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        finished = subprocess.run(
            [*COMMAND, str(pictures), "--json"], stdout=full, stderr=subprocess.PIPE, env=environment
        )
    assert finished.returncode == 1
    assert b"Traceback" not in finished.stderr
