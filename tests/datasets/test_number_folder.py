"""Folders of labelled whole numbers, and what is wrong with most of them at first."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_cnn.datasets.number_folder import LabelledNumber, read_number_folder
from mnist_cnn.errors import DataError


def fill(folder: Path, table: str | bytes, *pictures: str) -> Path:
    """Write a table of labels, and empty files as pictures: they are not opened."""
    (folder / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    for name in pictures:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return folder


def test_only_the_columns_file_and_text_count(tmp_path: Path) -> None:
    table = '\ufeffwriter,text,file,boxes\r\nA,0071,a.png,"1,2"\r\n\r\nB,,sub/b.png,\r\n'
    assert read_number_folder(fill(tmp_path, table, "a.png", "sub/b.png")) == [
        LabelledNumber("a.png", tmp_path / "a.png", "0071"),
        LabelledNumber("sub/b.png", tmp_path / "sub" / "b.png", ""),
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "is empty, or its first line is. It must name the columns file and text."),
        ("\n", "is empty"),
        ("file;text\na.png;12\n", "has semicolons between its columns. Save it with commas."),
        ('"no";"file";"text"\n1;a.png;12,5\n', "has semicolons between its columns. Save it with commas."),
        ("text\tfile\n12\ta.png\n", "has tabs between its columns. Save it with commas."),
        ("name;value\na.png;12\n", "has no column file and no column text: its first line is 'name;value'"),
        ("file,label\na.png,12\n", "has no column text: its first line is 'file,label'"),
        ("file,text\n", "names no pictures"),
        ("file,text\n../a.png,12\n", "line 2: '../a.png' is not within the folder of the table"),
        ("file,text\n/a.png,12\n", "line 2: '/a.png' is not within the folder"),
        ("file,text\na.png,12\na.png,12.50\n", "line 3: text = '12.50' is not a number"),
        ("file,text\na.png,١٢\n", "line 2: text = '١٢' is not a number"),
        ("file,text\na.png\n", "line 2: a file or a text is missing"),
        ("file,text\n,12\n", "line 2: a file or a text is missing"),
        ("file,text\na.png,12\nb.png,3\nc.png,4\n", "names 3 pictures, and 2 of them are not in"),
        ("file,text\na.png,12\nb.png,3\n", "names 2 pictures, and 1 of them is not in"),
        (f"file,text\n{'b' * 5000}.png,3\n", "names 1 picture, which is not in"),
        (b"file,text\n\xff.png,3\n", "is not UTF-8 text. Save it as CSV in UTF-8, with commas."),
        ("file,text\na.png,12\n".encode("utf-16"), "is not UTF-8 text"),
        (f'file,text\n"{"b" * 200_000}",3\n', "cannot be read as a table"),
    ],
)
def test_an_invalid_table_is_refused_with_its_line(table: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_number_folder(fill(tmp_path, table, "a.png"))
    assert message in str(caught.value)
    assert str(tmp_path / "labels.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "it has no labels.csv"), ("no-such-folder", "there is no folder"), ("labels.txt", "there is no folder")],
)
def test_what_is_not_such_a_folder_is_refused(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").touch()
    with pytest.raises(DataError, match=words):
        read_number_folder(tmp_path / name)


def test_a_picture_with_two_lines_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "labels.csv").write_text("File, TEXT\na.png,1\na.png,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"'a\.png' in the lines 2 and 3"):
        read_number_folder(tmp_path)


def test_the_first_missing_pictures_are_named(tmp_path: Path) -> None:
    table = "file,text\n" + "".join(f"{name}.png,1\n" for name in "abcde")
    with pytest.raises(
        DataError,
        match=r"names 5 pictures, and 4 of them are not in .*: b\.png, c\.png, d\.png and 1 more\. Add the files",
    ):
        read_number_folder(fill(tmp_path, table, "a.png"))
