"""Parquet files with images."""

from __future__ import annotations

import errno
import importlib.util
import io
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from cli.commands import call
from mnist_cnn.bulk import image_tables
from mnist_cnn.bulk.image_tables import Columns, read_rows, row_groups
from mnist_cnn.errors import DataError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="PyArrow is not installed"),
]


def write(path: Path, columns: dict[str, Any], rows: int = 1000) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


def test_rows_are_named_by_their_place_or_by_a_column(tmp_path: Path) -> None:
    images = [b"%d" % number for number in range(10)]
    path = str(write(tmp_path / "a.parquet", {"image": images, "id": [str(each) for each in range(100, 110)]}, rows=4))
    for columns, names in ((Columns(), [f"{path}#{each}" for each in range(10)]), (Columns("", "id"), None)):
        ranges = [part for group in row_groups(path, "") for part in group.cut(3)]
        assert [each.count for each in ranges] == [3, 1, 3, 1, 2]
        found = [row for each in ranges for row in read_rows(path, "", each, columns)]
        assert [name for name, _ in found] == (names or [str(each) for each in range(100, 110)])
        assert [image for _, image in found] == images
        assert list(read_rows(path, "", ranges[0], columns)) == found[:3], "backwards"


def test_images_of_hugging_face_are_found_in_their_structure(tmp_path: Path) -> None:
    rows = [{"bytes": b"one", "path": "1.png"}, None, {"bytes": None, "path": "3.png"}]
    path = str(write(tmp_path / "a.parquet", {"picture": rows, "label": [1, 2, 3]}))
    for columns in (Columns(), Columns("picture")):
        found = [image for part in row_groups(path, "") for _, image in read_rows(path, "", part, columns)]
        assert found == [b"one", None, None]


@pytest.mark.parametrize(
    ("columns", "words", "message"),
    [
        (
            {"a": [b""], "b": [b""]},
            (),
            "a.parquet has no column 'image' of images. Valid: a, b. Name it with --column.",
        ),
        ({"png": [b""]}, ("--column", "pgn"), "has no column 'pgn' of images. Did you mean 'png'?"),
        ({"image": ["text"]}, (), "the column 'image' of a.parquet contains string, not image bytes"),
        ({"image": [b""]}, ("--key", "id"), "has no column 'id' for --key"),
    ],
)
def test_a_file_without_the_column_ends_with_one_line(
    columns: dict[str, Any],
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.parquet", columns)
    code, out, err = call(capsys, "predict", "a.parquet", *words, "--output", "rows.csv")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_damaged_or_missing_file_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.parquet").write_bytes(b"nothing of that kind")
    for name in ("a.parquet", "b.parquet", "s3://key:secret@bucket/a", "x3://bucket/a", f"file://{tmp_path}/none"):
        code, _, err = call(capsys, "predict", name, "--output", "rows.csv")
        assert code == 2, err
        assert len(err.splitlines()) == 1
        assert "secret" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_memory_does_not_grow_with_a_row_group(tmp_path: Path) -> None:
    import pyarrow as pa

    path = str(write(tmp_path / "a.parquet", {"image": [os.urandom(10_000) for _ in range(8000)]}, rows=8000))
    (group,) = row_groups(path, "")
    before, peak = pa.total_allocated_bytes(), 0
    for part in group.cut(128):
        for _, image in read_rows(path, "", part, Columns()):
            assert image
            peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < 40e6, "half of the row group's 80 MB"


def test_a_store_that_does_not_answer_is_not_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a worker the error stays as it is, so that Ray repeats the part."""
    path = write(tmp_path / "a.parquet", {"image": [os.urandom(50_000) for _ in range(100)]})
    store = f"file://{tmp_path}"
    (group,) = row_groups(str(path), store)

    class Broken(io.FileIO):
        def read(self, size: int | None = -1) -> Any:
            if self.tell() and self.tell() < 4_000_000:  # the end of the file, which is read first, is there
                raise OSError("AWS Error NETWORK_CONNECTION")
            return super().read(size)

    def refuse(address: str, path: str) -> Any:
        raise OSError("AWS Error NETWORK_CONNECTION")

    for open_object in (lambda address, path: Broken(path), refuse):
        monkeypatch.setattr(image_tables, "open_object", open_object)
        with pytest.raises(OSError, match="NETWORK_CONNECTION"):
            list(read_rows(str(path), store, group, Columns()))
    with pytest.raises(DataError, match=r"a\.parquet cannot be read: AWS Error NETWORK_CONNECTION"):
        list(row_groups(str(path), store))
    for error in (FileNotFoundError(errno.ENOENT, "x"), PermissionError(errno.EACCES, "x")):
        monkeypatch.setattr(image_tables, "open_object", mock.Mock(side_effect=error))
        with pytest.raises(DataError, match="cannot be read as a Parquet file"):
            list(read_rows(str(path), store, group, Columns()))
