"""A model's metadata as JSON, in a file of its own or attached to the model file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mnist_cnn.errors import ModelFileError, first_line
from mnist_cnn.reading.metadata import ModelMetadata

MEMBER = "mnist_cnn.json"  # name in the zip archive
_MAX_BYTES = 2**20  # a valid one is a thousand times smaller


def write_json(file: Path, metadata: ModelMetadata) -> None:
    """Write the metadata as a JSON object of strings."""
    file.write_text(_dump(metadata), encoding="utf-8")


def read_json(folder: Path, member: Path) -> Mapping[str, str]:
    """Read the strings from a file in the folder of a model; none if the file does not exist.

    Raises:
        ModelFileError: The file is damaged.
    """
    try:
        with (folder / member).open("rb") as stream:
            return _parse(stream.read(_MAX_BYTES), folder)
    except OSError:
        return {}


def attach(path: Path, metadata: ModelMetadata) -> None:
    """Add the metadata to a `.keras` or `.tflite` file as a member of a zip archive.

    If the file is not an archive, one is appended, as TensorFlow's metadata library packs associated files: `unzip`
    finds it, and runtimes stop reading at the end of the model.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, _dump(metadata))


def read_attached(path: Path) -> Mapping[str, str]:
    """Read the strings that `attach` added; none if there are none.

    Raises:
        ModelFileError: They are damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as member:
            return _parse(member.read(_MAX_BYTES), path)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError):
        return {}


def _dump(metadata: ModelMetadata) -> str:
    return json.dumps(metadata.to_strings(), indent=2, ensure_ascii=False) + "\n"


def _parse(text: bytes, path: Path) -> dict[str, str]:
    try:
        values = json.loads(text)
        return {str(key): str(value) for key, value in values.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(
            f"the metadata in {path} are damaged ({first_line(error)}). Export the model again."
        ) from None
