"""Tables with one image per line, as Kaggle keeps MNIST: a label and 784 grey levels, separated by commas."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.datasets.arrays import as_images, as_labels
from mnist_cnn.datasets.idx import MAX_BYTES
from mnist_cnn.datasets.layout import entries
from mnist_cnn.errors import DataError, first_line
from mnist_cnn.files import TEST, TRAIN, VALIDATION, part_of
from mnist_cnn.reading.conventions import IMAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_PIXELS = IMAGE_SIZE * IMAGE_SIZE
_LABELS = frozenset(("label", "labels", "class", "digit", "target", "y"))
_LONGEST_LINE = 2**16  # characters; 785 numbers take no more than 20,000 in any usual form


def find_tables(folder: Path) -> dict[str, Path]:
    """Find the tables of labelled images in a folder: by part ("train", "test"), or a single one as "all".

    Other tables are skipped, such as Kaggle's `test.csv`, which has no labels.

    Raises:
        DataError: There are several, and their names do not tell them apart.
    """
    found = _tables(folder, _PIXELS + 1)
    if not found:
        return {}
    if len(found) == 1:
        return {"all": found[0]}
    tables = {part_of(file.stem): file for file in found}
    test = tables.get(TEST) or tables.get(VALIDATION)
    if TRAIN not in tables or not test or None in tables or len(found) != len(tables):
        raise DataError(
            f"{folder} has the tables {', '.join(file.name for file in found)}; expected one named train.csv and "
            "one named test.csv. Rename them, or give the path of one of them."
        )
    return {TRAIN: tables[TRAIN], TEST: test}


def describe_unread(folder: Path, tables: Collection[Path]) -> str:
    """Return which tables of images in a folder are not read; empty if all are."""
    spare = [file for file in _tables(folder, _PIXELS + 1) if file not in tables]
    remarks = [f"skipped {file}: validation images are held out of the training images" for file in spare]
    remarks += [f"skipped {file}, which has no labels" for file in _tables(folder, _PIXELS)]
    return "; ".join(remarks)


def read_table(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read a table of 785 columns, with or without a header line; without, the first column is the label.

    Returns:
        Images, uint8 [n, 28, 28], and labels, int64 [n].

    Raises:
        DataError: Another number of columns, no label, too large, or values that are not grey levels.
    """
    names, column = _columns(path)
    values = _numbers(path, names)
    images = as_images(np.delete(values, column, axis=1), f"{path}, grey levels")
    if path.name.startswith("emnist-"):
        images = images.swapaxes(1, 2).copy()  # EMNIST's files have rows and columns swapped
    return images, as_labels(values[:, column], f"{path}, labels")


def read_table_labels(path: Path) -> NDArray[np.int64]:
    """Read only the labels of a table, int64 [n], in about a third of the time that all columns take.

    Raises:
        DataError: As for `read_table`, except that grey levels are not checked.
    """
    names, column = _columns(path)
    return as_labels(_numbers(path, names, column).ravel(), f"{path}, labels")


def _columns(path: Path) -> tuple[list[str], int]:
    """Return the cells of a table's first line, and the index of the label among them."""
    names = _first_cells(path)
    if len(names) == _PIXELS:
        raise DataError(
            f"{path} has {_PIXELS} columns, none of them a label. Give the table with labels; Kaggle's is train.csv."
        )
    if len(names) != _PIXELS + 1:
        raise DataError(f"{path} has {len(names):,} columns, expected {_PIXELS + 1}: a label and 28×28 grey levels.")
    return names, next((index for index, name in enumerate(names) if name.casefold() in _LABELS), 0)


def _numbers(path: Path, names: Sequence[str], column: int | None = None) -> NDArray[np.float32]:
    """Read all columns of a table, [n, 785], or one of them, [n, 1]."""
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path} has {path.stat().st_size:,} bytes; the limit is {MAX_BYTES:,}. Split it.")
    numbered = [str(number) for number in range(len(names))]  # how pandas names columns without names
    is_header = not _is_number(names[0]) or list(names) == numbered
    skip = 1 if is_header else 0
    try:
        with warnings.catch_warnings(action="ignore"):  # `Dataset` refuses an empty table
            values = np.loadtxt(
                path, np.float32, delimiter=",", quotechar='"', skiprows=skip, usecols=column, ndmin=2,
                encoding="utf-8-sig",
            )  # fmt: skip
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as a table of numbers ({first_line(error)}).") from error
    return values if values.size else values.reshape(0, len(names) if column is None else 1)


def _tables(folder: Path, columns: int) -> list[Path]:
    files = [entry for entry in entries(folder) if entry.suffix.lower() == ".csv" and entry.is_file()]
    return [file for file in files if len(_first_cells(file)) == columns]


def _first_cells(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            line = file.readline(_LONGEST_LINE)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    return [cell.strip(" \"'\r\n") for cell in line.split(",")]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
