"""Folders of pictures of whole numbers, with a table that says what is written in each picture."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mnist_cnn.errors import DataError, first_line

LABELS = "labels.csv"
_FILE, _TEXT = "file", "text"
_OTHER_MARKS = {";": "semicolons", "\t": "tabs"}  # that programs write between columns in place of commas
_NAMED, _LONGEST_NAME = 3, 80  # names, and characters of each, in a message


@dataclass(frozen=True)
class LabelledNumber:
    """One picture, and the number that is written in it."""

    file: str  #: name of the picture, as in the table
    path: Path  #: where it is
    text: str  #: the digits from left to right; the empty string for a picture without a number


def read_number_folder(folder: Path) -> list[LabelledNumber]:
    """Read which number is written in each picture of a folder.

    Args:
        folder: It contains pictures and `labels.csv` with the columns `file`, a path within the folder, and `text`,
            the digits, which is left empty for a picture without a number. Other columns are ignored.

    Raises:
        DataError: There is no such table, it lacks a column or a picture, or a text is not digits.
    """
    numbers = list(_read_labels(folder))
    if not numbers:
        raise DataError(f"{folder / LABELS} names no pictures. Add a line for each, such as: amount.png,1250")
    missing = [each.file for each in numbers if not os.path.isfile(each.path)]  # noqa: PTH113  # never raises
    if missing:
        named = ", ".join(each[:_LONGEST_NAME] for each in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED:,} more" if missing[_NAMED:] else ""
        some = "1 of them is" if len(missing) == 1 else f"{len(missing):,} of them are"
        pictures = f"{len(numbers):,} pictures, and {some}" if numbers[1:] else "1 picture, which is"
        raise DataError(
            f"{folder / LABELS} names {pictures} not in {folder}: {named}{more}. Add the files, or remove their lines."
        )
    return numbers


def _read_labels(folder: Path) -> Iterator[LabelledNumber]:
    table = folder / LABELS
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
            _check_columns(table, list(rows.fieldnames))
            lines: dict[str, int] = {}
            for row in rows:
                number = _labelled(folder, row, f"{table}, line {rows.line_num}")
                if number.file in lines:
                    raise DataError(
                        f"{table} names {number.file!r} in the lines {lines[number.file]} and {rows.line_num}. Remove "
                        "one of them."
                    )
                lines[number.file] = rows.line_num
                yield number
    except (FileNotFoundError, NotADirectoryError):
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}. Give a folder of pictures with {LABELS}.") from None
        raise DataError(
            f"{folder} is not a folder of labelled numbers: it has no {LABELS}. Write one with the columns {_FILE} and "
            f"{_TEXT}: the name of each picture, and the digits in it."
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{table} is not UTF-8 text. Save it as CSV in UTF-8, with commas.") from None
    except (OSError, csv.Error) as error:
        raise DataError(
            f"{table} cannot be read as a table ({first_line(error)}). Save it as UTF-8 text with commas."
        ) from None


def _check_columns(table: Path, found: list[str]) -> None:
    if not any(found):
        raise DataError(f"{table} is empty, or its first line is. It must name the columns {_FILE} and {_TEXT}.")
    for mark, name in _OTHER_MARKS.items():
        if {_FILE, _TEXT} <= {cell.strip(' "') for cell in ",".join(found).split(mark)}:
            raise DataError(f"{table} has {name} between its columns. Save it with commas.")
    missing = [column for column in (_FILE, _TEXT) if column not in found]
    if missing:
        raise DataError(
            f"{table} has no column {' and no column '.join(missing)}: its first line is "
            f"{','.join(found)[:80]!r}. It must name the columns {_FILE} and {_TEXT}, with a comma between."
        )


def _labelled(folder: Path, row: dict[str, str | None], place: str) -> LabelledNumber:
    file, text = ((row[column] or "").strip() for column in (_FILE, _TEXT))
    if not file or row[_TEXT] is None:
        raise DataError(f"{place}: a file or a text is missing. Write both, with a comma between.")
    if Path(file).anchor or ".." in Path(file).parts:
        raise DataError(f"{place}: {file!r} is not within the folder of the table. Write a path within it.")
    if text and not (text.isascii() and text.isdigit()):
        raise DataError(
            f"{place}: text = {text!r} is not a number. Write only its digits, from left to right, such as 1250 for "
            "12.50; leave it empty if there is no number."
        )
    return LabelledNumber(file, folder / file, text)
