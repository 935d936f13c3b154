"""Tables of readings, in one process: rows, interruption, refusals."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from cli.commands import call
from mnist_cnn.bulk import bulk_reading, local_reading, part_reading
from mnist_cnn.bulk.job import Job
from mnist_cnn.bulk.part_reading import PartRows, read_part
from mnist_cnn.bulk.parts import IMAGES, ImagePart
from mnist_cnn.cluster.connection import check_address
from mnist_cnn.errors import DataError, SettingError
from mnist_cnn.reading.reading_records import DIGIT, TEXT, csv_line
from mnist_cnn.reading.recognizer.network import Network


@pytest.fixture(scope="module")
def whole(forms: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of all forms, read without interruption."""
    output = tmp_path_factory.mktemp("whole") / "rows.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(forms.parent)
        bulk_reading.read_in_bulk(Job(DIGIT, 0.5), image_names(forms), output, paths=[forms.name])
    return output.read_bytes()


def image_names(folder: Path) -> list[str]:
    places = (folder, folder / "inside")
    return [str(path.relative_to(folder.parent)) for place in places for path in sorted(place.glob("*.png"))]


def beside(output: Path) -> Path:
    return output.with_name(output.name + ".unfinished")


def test_a_table_has_the_rows_of_csv_with_reason_and_error(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(forms.parent)
    few = [*image_names(forms)[:20], f"{forms.name}/damaged.png", "none.png"]
    code, plain, _ = call(capsys, "predict", *few, "--format", "csv")
    output = tmp_path / "rows.csv"
    assert (code, *call(capsys, "predict", *few, "--output", output, "--json")[:2]) == (
        1,
        1,
        json.dumps({"output": str(output), "images": 22, "unreadable": 2}) + "\n",
    )
    rows = list(csv.reader(output.open(encoding="utf-8", newline="")))
    assert [row[:4] for row in rows] == [row[:4] for row in csv.reader(io.StringIO(plain))]
    assert rows[0][4:] == ["reason", "error"]
    assert rows[-1][4] == "unreadable"
    assert "none.png cannot be read" in rows[-1][5]
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("torn", [b"", b"forms/0001.png,7,0.9"])
def test_an_interrupted_run_goes_on_where_it_stopped(
    torn: bytes, forms: Path, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forms.parent)
    output = tmp_path / "rows.csv"
    read: list[ImagePart] = []

    def interrupt(job: Job, part: ImagePart, threads: int) -> PartRows:
        if len(read) == 3:
            raise KeyboardInterrupt
        read.append(part)
        return read_part(job, part, threads)

    def count(job: Job, part: ImagePart, threads: int) -> PartRows:
        read.append(part)
        return read_part(job, part, threads)

    names, job = image_names(forms), Job(DIGIT, 0.5)
    monkeypatch.setattr(local_reading, "read_part", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bulk_reading.read_in_bulk(job, names, output, paths=[forms.name])
    assert not output.exists()
    with (beside(output) / "rows.csv").open("ab") as rows:
        rows.write(torn)  # what a killed process wrote after the last record of its progress
    monkeypatch.setattr(local_reading, "read_part", count)
    progress = bulk_reading.read_in_bulk(job, ["new.png"], output, paths=[forms.name])  # the plan is that of the start
    assert output.read_bytes() == whole
    assert [part.files[0] for part in read] == names[::IMAGES]
    assert (progress.images, progress.unreadable) == (len(names), 1)
    assert list(tmp_path.iterdir()) == [output]


def test_a_process_killed_after_the_last_rename_leaves_only_what_to_remove(
    forms: Path, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forms.parent)
    output = tmp_path / "rows.csv"
    with monkeypatch.context() as patch:
        patch.setattr("mnist_cnn.bulk.unfinished.shutil.rmtree", lambda *_, **__: None)
        bulk_reading.read_in_bulk(Job(DIGIT, 0.5), image_names(forms), output, paths=[forms.name])
    assert beside(output).exists()
    bulk_reading.read_in_bulk(Job(DIGIT, 0.5), [], output, paths=[forms.name])
    assert output.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 0.9}, "was begun with threshold 0.5, not 0.9"),
        ({"model": (("model.onnx", b"other"),)}, 'was begun with model "the included weights, '),
        ({"folder": "/elsewhere"}, "was begun with the current folder "),
        ({"heading": TEXT}, 'was begun with the column "digit", not "text"'),
        ({"second_opinion": True}, "was begun with --second-opinion false, not true"),
        ({"version": "9.9"}, "was begun with version "),
    ],
)
def test_another_job_is_refused(
    change: dict[str, object], message: str, forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forms.parent)
    names, output, job = image_names(forms), tmp_path / "rows.csv", Job(DIGIT, 0.5)

    def stop(done: int, images: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bulk_reading.read_in_bulk(job, names, output, paths=[forms.name], on_progress=stop)
    with pytest.raises(SettingError) as caught:
        bulk_reading.read_in_bulk(dataclasses.replace(job, **change), names, output, paths=[forms.name])  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingError, match="was begun with paths"):
        bulk_reading.read_in_bulk(job, names, output, paths=["others"])


def test_a_list_of_paths_is_compared_when_a_run_goes_on(
    forms: Path, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(forms.parent)
    output, names = tmp_path / "rows.csv", image_names(forms)

    def read(names: list[str]) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(names).encode())))
        return call(capsys, "predict", "-", "--threshold", "0.5", "--threads", "1", "--output", output)

    with monkeypatch.context() as patch:
        patch.setattr(local_reading, "read_part", _interrupted_after(2))
        assert read(names)[0] == 130
    for others in (names[:-1], names[::-1], []):
        code, _, err = read(others)
        assert code == 2
        assert "was begun with another list of paths on standard input, or one in another order" in err
        assert len(err.splitlines()) == 1
    assert read(names)[0] == 1, "one image is damaged"
    assert output.read_bytes() == whole


def test_a_full_disk_loses_nothing(
    forms: Path, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(forms.parent)
    output = tmp_path / "rows.csv"
    words = ("predict", forms.name, "--threshold", "0.5", "--output", output)
    flushed = 0

    def fill(descriptor: int) -> None:
        nonlocal flushed
        flushed += 1
        if flushed > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        patch.setattr("mnist_cnn.bulk.unfinished._SECONDS", 0.0)
        code, _, err = call(capsys, *words)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "the disk is full" in err
    assert "run the same command again" in err
    assert call(capsys, *words)[0] == 1
    assert sorted(output.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_file_that_appears_during_an_interruption_is_kept(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forms.parent)
    output, job = tmp_path / "rows.csv", Job(DIGIT, 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(local_reading, "read_part", _interrupted_after(1))
        with pytest.raises(KeyboardInterrupt):
            bulk_reading.read_in_bulk(job, image_names(forms), output, paths=[forms.name])
    output.write_text("mine", encoding="utf-8")
    with pytest.raises(SettingError, match=r"exists, and .*unfinished has rows of an unfinished run"):
        bulk_reading.read_in_bulk(job, image_names(forms), output, paths=[forms.name])
    assert output.read_text("utf-8") == "mine"


def test_a_finished_table_is_kept_beside_what_could_not_be_removed(
    forms: Path, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forms.parent)
    output = tmp_path / "rows.csv"
    output.write_bytes(whole)
    beside(output).mkdir()
    with pytest.raises(SettingError, match="exists"):
        bulk_reading.read_in_bulk(Job(DIGIT, 0.9), image_names(forms), output, paths=[forms.name])
    assert output.read_bytes() == whole


def _interrupted_after(parts: int) -> Callable[..., PartRows]:
    """Read this many parts, then behave as if Ctrl-C were pressed."""
    done = 0

    def read(*arguments: Any) -> PartRows:
        nonlocal done
        done += 1
        if done > parts:
            raise KeyboardInterrupt
        return read_part(*arguments)

    return read


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a\r\nb", 'a",b', "a,b"])
def test_a_line_of_csv_is_one_row_whatever_the_name(name: str) -> None:
    record = {"path": name, "digit": 7, "confidence": 1.0, "accepted": True}
    line = csv_line(record, ("path", "digit", "confidence", "accepted")).decode()
    assert list(csv.reader(io.StringIO(line, newline=""))) == [[name, "7", "1.0", "true"]]


def test_two_processes_do_not_write_one_table(forms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "rows.csv"
    beside(output).mkdir()
    with FileLock(beside(output) / "lock"):
        code, _, err = call(capsys, "predict", forms, "--output", output)
    assert code == 2
    assert "another process is writing" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.parquet"], "x.parquet is a Parquet file. Add --output FILE.csv"),
        (["x.png", "--ray"], "--ray is not possible here. It needs --output FILE.csv"),
        (["x.png", "--column", "png"], "--column is not possible here"),
        (["x.png", "--output", "rows.csv", "--explain"], "--explain is not possible here. Omit it: all rows are"),
        (
            ["x.png", "--output", "rows.csv", "--format", "csv"],
            "--format is not possible here. Omit it: all rows",
        ),
        (["x.png", "--output", "rows.CSV"], "must end in lower case"),
        (["x.png", "--output", "rows.csv", "--ray=local", "--threads", "2"], "--threads is not possible here"),
        (["--output", "rows.csv", "--ray", "forms"], "--ray forms is not the address of a Ray cluster. Valid: local"),
        ([".", "--output", "rows.csv"], "found no images in ."),
        (["x" * 300, "--output", "rows.csv"], "not exist. Check the spelling."),
        (
            ["formz/", "y.png", "--output", "rows.csv"],
            "found no images: formz/ and 1 more do not exist. Check",
        ),
        ([".", "--output", "s3://bucket/rows.csv"], "is not a path on this machine. Write it here"),
        (["taken.png", "--output", "taken.csv"], "taken.csv exists"),
    ],
)
def test_an_invalid_call_ends_with_one_line_and_leaves_nothing(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.csv").write_text("")
    code, out, err = call(capsys, "predict", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken.csv"]


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert [check_address(each) for each in ("", "auto", "ray://head:10001", "10.0.0.1:6379")] == [
        *("local", "auto"),
        *("ray://head:10001", "10.0.0.1:6379"),
    ]
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert check_address("") == "auto"
    for wrong in ("head", "http://head:80", "ray://head", "forms/a:1"):
        with pytest.raises(SettingError, match="write --ray=local"):
            check_address(wrong)
    for wrong in ("head:0", "head:65536", "ray://head:99999", "head:1234567890123"):
        with pytest.raises(SettingError, match=f"^--ray {wrong} (does not end with a valid port|is not)"):
            check_address(wrong)
    for wrong in ("head", "head:99999"):
        monkeypatch.setenv("RAY_ADDRESS", wrong)
        with pytest.raises(SettingError, match=f"^the environment variable RAY_ADDRESS={wrong} "):
            check_address("")


def test_an_object_store_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(store: str, path: str) -> bytes:
        raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation")

    monkeypatch.setattr(part_reading, "read_object", fail)
    part = ImagePart(("bucket/a.png",), "s3://bucket")
    monkeypatch.setattr(bulk_reading, "cut_into_parts", lambda names: iter([part]))
    with pytest.raises(DataError, match=r"s3://bucket cannot be read: AWS Error NETWORK_CONNECTION .* object store"):
        bulk_reading.read_in_bulk(Job(DIGIT, 0.5), [], tmp_path / "rows.csv", paths=["s3://bucket"])


def test_the_digits_of_a_part_go_through_the_network_together(forms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (*map(str, sorted(forms.glob("*.png"))[:5]), str(forms / "damaged.png"))
    job = Job(DIGIT, 0.51)  # of its own, because loaded readers are kept
    alone = [read_part(job, ImagePart((file,))) for file in files]
    sizes: list[int] = []
    scores = Network.scores

    def count(network: Network, images: Any, threads: int) -> Any:
        sizes.append(len(images))
        return scores(network, images, threads)

    monkeypatch.setattr(Network, "scores", count)
    together = read_part(job, ImagePart(files))
    assert sizes == [5], "one run, without the damaged file"
    assert together.lines.splitlines() == [each.lines.rstrip() for each in alone]


def test_a_worker_with_another_version_of_this_package_says_so() -> None:
    rows = read_part(Job(DIGIT, 0.5, version="9.9"), ImagePart(("x.png",)))
    assert "is installed, not 9.9. Install the same version on all machines" in rows.problem


@pytest.mark.parametrize("heading", [DIGIT, TEXT])
def test_a_worker_with_other_weights_says_so(heading: str) -> None:
    job, part = Job(heading, 0.5).for_other_machines(), ImagePart(("x.png",))
    assert not read_part(job, part).problem
    rows = read_part(dataclasses.replace(job, weights="those of another build"), part)
    assert "includes other weights than the mnist-cnn" in rows.problem
    assert rows.exit_code == 2


def test_a_model_of_ones_own_goes_to_workers_with_any_weights() -> None:
    assert not Job(DIGIT, 0.5, model=(("model.onnx", b"x"),)).for_other_machines().weights


def test_a_part_survives_its_line() -> None:
    from mnist_cnn.bulk.image_tables import RowRange

    for part in (
        ImagePart(("a\udcff.png", "b.png")),
        ImagePart(("b/c.parquet",), "s3://b?region=x", RowRange(1, 20, 3, 4)),
    ):
        assert ImagePart.from_line(part.to_line()) == part
