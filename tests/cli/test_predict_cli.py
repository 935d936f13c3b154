"""`mnist-cnn predict`: rows, unreadable files, standard input and closed pipes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli import commands
from cli.commands import COMMAND, start
from mnist_cnn.cli import inputs
from mnist_cnn.cli.app import main
from mnist_cnn.datasets import load_dataset
from mnist_cnn.reading.recognizer import Reason, Recognizer

HEAVY = (
    *("keras", "tensorflow", "jax", "torch", "matplotlib", "scipy", "sklearn", "pydantic", "rich", "h5py", "onnx"),
    *("ray", "pyarrow"),
)
CSV = ("--format", "csv")
LINES = ("--format", "jsonl")


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    return commands.call(capsys, "predict", *words)


def run(*words: object, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own, with what it writes to standard error."""
    command = [*COMMAND, "predict", *map(str, words)]
    return subprocess.run(command, stderr=subprocess.PIPE, timeout=60, **settings)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of readable drawings, two of them in a subfolder, and files that are skipped."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "inside").mkdir()
    (folder / ".hidden").mkdir()
    names = ["b.png", "a.PNG", "inside/d.jpg", "inside/c.bmp", ".secret.png", ".hidden/e.png"]
    for name, image in zip(names, load_dataset("digits").images, strict=False):
        Image.fromarray(255 - np.kron(image, np.ones((4, 4), np.uint8))).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    os.mkfifo(folder / "pipe.png")  # reading it would block
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


def test_folders_are_read_in_order_without_hidden_files(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, pictures, *LINES)
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert found == [expected(pictures / name) for name in ("a.PNG", "b.png", "inside/c.bmp", "inside/d.jpg")]


def test_an_unreadable_file_has_its_row_and_the_rest_is_read(
    pictures: Path, damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [pictures / "a.PNG", damaged, "none.png", "x" * 300, pictures / "b.png"]  # one name is too long
    code, out, err = call(capsys, *words, *CSV)
    assert code == 1
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["path"] for row in rows] == [str(word) for word in words]
    assert [row["digit"] != "" for row in rows] == [True, False, False, False, True]
    assert rows[1] == {"path": str(damaged), "digit": "", "confidence": "", "accepted": "false"}
    assert len(err.splitlines()) == 3
    code, out, _ = call(capsys, *words, "--json")
    record = json.loads(out)
    assert (code, record["images"], record["unreadable"]) == (1, 5, 3)
    assert "none.png" in record["results"][2]["error"]
    code, out, _ = call(capsys, *words)
    assert code == 1
    assert [line.split()[3] for line in out.splitlines()] == ["path", *map(str, words)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["."], "found no images in ."),
        ([], "Missing argument"),
        (["x.png", "--model", "none.onnx"], "there is no model none.onnx"),
        (["x.png", "--threshold", "2"], "threshold = 2.0"),
        (["x.png", "--threads", "0"], "threads = 0"),
        (["x.png", "--scale", "0"], "'--scale': 0.0 is not in the range x>0"),
        (["x.png", "--scale", "inf"], "scale = inf is not valid"),
        (["x.png", "--format", "csv", "--json"], "Omit one of them"),
        (["x.png", "--explain", "--output", "notes.txt"], "Valid suffixes: .png"),
        (["x.png", "--output", "rows.tsv"], ".jpeg for a picture; .csv, .parquet for all rows."),
        (["x.png", "--output", "."], ".jpeg for a picture; .csv, .parquet for all rows."),
        (["x.png", "--output", ""], "'--output': the path is empty. Give a path, or omit the option."),
        (["x.png", "--model", ""], "'--model': the path is empty"),
    ],
)
def test_an_invalid_call_ends_with_one_line_and_exit_code_2(
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
        _, out, _ = call(capsys, pictures / "inside", *LINES, "--threshold", threshold)
        rows = [json.loads(line) for line in out.splitlines()]
        assert rows
        assert all(row["accepted"] == accepted or row["confidence"] == 1 for row in rows), "1 may be rounded"


class Pipe(io.BytesIO):
    """A pipe that delivers what was written to it in these blocks."""

    def __init__(self, *blocks: bytes) -> None:
        super().__init__(b"".join(blocks))
        self.sizes = [len(block) for block in blocks]

    def read1(self, _size: int | None = -1, /) -> bytes:
        return self.read(self.sizes.pop(0) if self.sizes else 0)


@pytest.mark.parametrize("name", ["b.png", "inside/d.jpg", "inside/c.bmp"])
def test_an_image_comes_through_standard_input(
    name: str, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where its first bytes come alone."""
    image = (pictures / name).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(image[:3], image[3:])))
    code, out, err = call(capsys, "-", *LINES)
    assert code == 0, err
    assert json.loads(out) == {**expected(pictures / name), "path": "-"}


def test_a_list_of_paths_may_start_with_a_byte_order_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = (b"\xef\xbb\xbfa.png\r\n\nb", b".png\n", b"c.png")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(*blocks)))
    assert [list(group) for group in inputs.find_images(["-", "d.png"])] == [
        ["a.png"], ["b.png"], [], ["c.png"], ["d.png"],
    ]  # fmt: skip


def test_a_list_of_paths_may_begin_like_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("P1 a.png").touch()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(b"P1 a.png\nb.png\n")))
    assert [name for group in inputs.find_images(["-"]) for name in group] == ["P1 a.png", "b.png"]
    image = b"P1\n1 1\n0\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(image)))
    assert [content for group in inputs.find_images(["-"]) for content in group] == [image]


@pytest.mark.parametrize(
    "names", [("here.png", "b.png"), ("none.png", "b.png"), ("folder", "b.png"), ("x" * 99 + ".jpg",)]
)
def test_a_list_separated_by_zero_bytes_is_refused(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe("".join(f"{name}\0" for name in names).encode())))
    code, out, err = call(capsys, "-")
    assert (code, out) == (2, "")
    assert "separated by NUL bytes. Give one path per line: with find, use -print instead of -print0." in err


def test_an_empty_path_has_a_row_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "", *LINES)
    assert code == 1
    assert json.loads(out)["error"] == "the path is empty. Give the path of an image file."


def test_the_name_of_an_image_is_before_every_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors about the values of an image do not know its name."""
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(tmp_path / "nan.tif")
    _, _, err = call(capsys, tmp_path / "nan.tif", "--format", "csv")
    assert err.startswith(f"Not read: {tmp_path / 'nan.tif'}: the array's values range from nan")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(b"\x89PNG")))
    _, out, _ = call(capsys, "-", *LINES)
    assert json.loads(out)["error"].startswith("standard input: this image cannot be read")


def test_rows_appear_while_paths_are_still_being_written_until_ctrl_c(pictures: Path, damaged: Path) -> None:
    with start("predict", "-", *LINES, folder=pictures) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for path in (pictures / "a.PNG", damaged, pictures / "b.png"):
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["path"] == str(path)  # without waiting for the next path
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().strip() == "Interrupted."


def test_a_closed_pipe_ends_quietly(pictures: Path) -> None:
    words = [*COMMAND, "predict", *[str(pictures / "b.png")] * 3000, *CSV]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("path,")
        process.stdout.close()
        assert process.stderr.read() == ""


def test_explain_draws_one_row_per_image(
    pictures: Path, damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heights = []
    for words in ([pictures / "a.PNG"], [pictures, damaged]):
        sheet = tmp_path / "sheet.png"
        _, out, err = call(capsys, *words, "--explain", "--output", sheet, *LINES)
        assert f"Explanation: {sheet}" in err
        assert all(json.loads(line) for line in out.splitlines())
        with Image.open(sheet) as image:
            heights.append(image.height)
            assert len(image.convert("RGB").getcolors(2**24) or []) > 50
    assert heights[1] == 4 * heights[0]


def test_a_missing_image_with_the_name_of_the_picture_has_a_row(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.touch()
    code, out, _ = call(capsys, pictures / "a.PNG", tmp_path / "none" / "sheet.png", "--output", sheet, *LINES)
    assert code == 1
    assert [bool(json.loads(line).get("error")) for line in out.splitlines()] == [False, True]


def test_explain_never_overwrites_an_image_that_it_reads(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.png"
    path.write_bytes((pictures / "b.png").read_bytes())
    code, _, _ = call(capsys, tmp_path, "--explain", "--output", path)
    assert code == 2
    assert path.read_bytes() == (pictures / "b.png").read_bytes()


def test_only_the_reading_side_is_needed_and_the_home_folder_stays_empty(pictures: Path, tmp_path: Path) -> None:
    """As with the base install only; ONNX Runtime's telemetry would leave files in the home folder."""
    program = f"import sys; sys.modules.update(dict.fromkeys({HEAVY})); from mnist_cnn.cli import main; main()"
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    words = [sys.executable, "-c", program, "predict", str(pictures)]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
    assert finished.returncode == 0, finished.stderr
    assert len(finished.stdout.splitlines()) == 5
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="measures with wait4")
def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(np.full((2000, 2000), 255, np.uint8)).save(large)  # 4 MB in memory

    def peak(count: int) -> float:
        command = [*COMMAND, "predict", *[str(large)] * count]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # MB

    assert peak(60) < peak(12) + 100


def test_a_file_name_cannot_forge_rows(
    pictures: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """In CSV the name is unchanged, even if it is not Unicode."""
    name = os.fsencode(tmp_path) + b'/new\nline, "\x1b[31m\xff\xfe.png'
    path = os.fsdecode(name)
    Path(path).write_bytes((pictures / "b.png").read_bytes())
    for words in ([path, *CSV], [path]):
        with pytest.raises(SystemExit):
            main(["predict", *words])
    heading, _, rest = capsysbinary.readouterr().out.partition(b"\n")
    content, _, table = rest.partition(b"digit")
    assert heading == b"path,digit,confidence,accepted"
    assert next(csv.reader(io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")))[0] == path
    assert table.count(b"\n") == 2


def test_a_blank_image_has_no_digit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (90, 90), 255).save(tmp_path / "blank.png")
    _, table, _ = call(capsys, tmp_path)
    assert table.splitlines()[1].split()[0::2] == ["–", "blank"]
    code, lines, _ = call(capsys, tmp_path, *LINES)
    record = json.loads(lines)
    assert (code, record["digit"], record["accepted"], record["reason"]) == (0, None, False, "blank")


def test_a_picture_of_a_number_names_the_command_for_numbers(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open(pictures / "b.png") as image:
        digit = np.asarray(image.convert("L"))
    Image.fromarray(np.hstack([digit, digit])).save(tmp_path / "two.png")
    code, out, err = call(capsys, tmp_path, *LINES)
    assert (code, json.loads(out)["reason"]) == (0, Reason.SEVERAL)
    assert err == "NOTE: 1 image has more than one thing to read. To read whole numbers: mnist-cnn read\n"
    assert "mnist-cnn read" in Reason.SEVERAL.text


def test_a_closed_standard_input_is_reported() -> None:
    finished = run("-", stdin=None, preexec_fn=lambda: os.close(0))
    assert finished.returncode == 2
    assert b"standard input is closed" in finished.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_one_line(pictures: Path, unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        finished = run(pictures, "--json", stdout=full, env=environment)
    assert finished.returncode == 1
    assert b"Traceback" not in finished.stderr
    assert b"Error: the disk is full. Not everything was written. Free some space" in finished.stderr
