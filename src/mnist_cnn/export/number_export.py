"""The included network for whole numbers as a file of its own, with a page that says how to run it."""

from __future__ import annotations

import string
from pathlib import Path

from mnist_cnn.errors import InputError, SettingError
from mnist_cnn.files import CARD_NAME, write_text, write_whole
from mnist_cnn.reading.numbers import NumberReader
from mnist_cnn.reading.numbers.line_preparation import INK, PAPER
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata
from mnist_cnn.reading.numbers.number_reader import SHIPPED_WEIGHTS

FILE = SHIPPED_WEIGHTS.name
_README = Path(__file__).with_name("numbers_readme.md")


def export_numbers(folder: Path) -> Path:
    """Write `numbers.onnx` and `README.md`, which describes its input, its outputs and its metadata.

    Args:
        folder: A new or empty folder, one without files of these names, or that of an earlier export.

    Returns:
        The path of the ONNX file.

    Raises:
        SettingError: There is a file of that name that is not an earlier export.
        WriteError: The folder cannot be written.
    """
    model, readme = folder / FILE, folder / CARD_NAME
    _check_free(model, readme)
    with write_whole(model) as partial:
        partial.write_bytes(SHIPPED_WEIGHTS.read_bytes())
        metadata = NumberReader.load(partial, threads=1).metadata
    write_text(readme, _describe(metadata))
    return model


def _check_free(model: Path, readme: Path) -> None:
    for path, is_export in ((model, _is_model), (readme, _is_readme)):
        if path.exists() and not is_export(path):
            raise SettingError(
                f"{path} already exists and was not exported by mnist-cnn, so it is not replaced. "
                "Move it away, or choose another folder with --output."
            )


def _is_model(path: Path) -> bool:
    if path.samefile(SHIPPED_WEIGHTS):
        return False
    try:
        NumberReader.load(path, threads=1)
    except InputError:
        return False
    return True


def _is_readme(path: Path) -> bool:
    title, _ = _README.read_text("utf-8").split("\n", 1)
    return path.is_file() and path.read_text("utf-8", errors="replace").startswith(title)


def _describe(metadata: NumberMetadata) -> str:
    rows = "\n".join(f"| `{key}` | `{value}` |" for key, value in metadata.to_strings().items())
    return string.Template(_README.read_text("utf-8")).substitute(
        file=FILE, version=metadata.package_version, paper=PAPER, ink=INK, span=INK - PAPER, metadata=rows
    )
