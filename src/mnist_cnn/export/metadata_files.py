"""Where each format keeps a model's metadata, and how it is read back without loading the model."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from mnist_cnn.errors import ModelFileError, first_line
from mnist_cnn.reading.metadata import ModelMetadata

JSON_NAME = "metadata.json"  # in the folder of an OpenVINO model
IN_SAVED_MODEL = Path("assets.extra", JSON_NAME)  # the place that TensorFlow leaves to others
MEMBER = "mnist_cnn.json"  # of the zip archive that a .keras file is, and that follows the model in a .tflite file
_LONGEST = 2**20  # bytes; an honest one has less than a thousandth of it


def dump(metadata: ModelMetadata) -> str:
    """Give the metadata as the text of a JSON object."""
    return json.dumps(metadata.to_strings(), indent=2, ensure_ascii=False) + "\n"


def attach(path: Path, metadata: ModelMetadata) -> None:
    """Add the metadata to a `.keras` or `.tflite` file as a member of a zip archive.

    To a file that is no archive, one is appended, as TensorFlow's own metadata library packs associated files:
    `unzip` finds it, and runtimes read no further than to the end of the model.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, dump(metadata))


def read_metadata(path: Path) -> ModelMetadata:
    """Read what an exported model says of itself; nothing of the model is run.

    Args:
        path: An `.onnx`, `.tflite`, `.keras` or OpenVINO's `.xml` file, or the folder of a SavedModel or of an
            OpenVINO model.

    Raises:
        InputError: There is no such file, or it has another suffix.
        ModelFileError: It carries no metadata of this package, or damaged ones.
    """
    metadata = ModelMetadata.from_strings(_strings(path), str(path))
    if metadata is None:
        raise _nothing_there(path)
    return metadata


def _strings(path: Path) -> dict[str, str]:
    if not path.exists():
        raise ModelFileError(f"there is no model {path}. Write one with: mnist-cnn export RUN")
    if path.is_dir():
        beside = path / IN_SAVED_MODEL
        return _parse(_read(beside if beside.exists() else path / JSON_NAME, path), path)
    match path.suffix:
        case ".onnx":
            return _onnx_properties(path)
        case ".tflite" | ".keras":
            return _parse(_read_member(path), path)
        case ".xml":
            return _parse(_read(path.with_name(JSON_NAME), path), path)
    raise ModelFileError(f"{path} is no exported model: its name must end in .onnx, .tflite, .keras or .xml.")


def _onnx_properties(path: Path) -> dict[str, str]:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model(str(path), load_external_data=False)  # weights that lie elsewhere stay there
    except (DecodeError, ValueError, OSError) as error:
        raise ModelFileError(f"{path} is no ONNX model ({first_line(error)}). Export it again.") from None
    return {each.key: each.value for each in model.metadata_props}


def _read_member(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as member:
            return member.read(_LONGEST)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError):
        raise _nothing_there(path) from None


def _read(file: Path, path: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_LONGEST)
    except OSError:
        raise _nothing_there(path) from None


def _parse(text: bytes, path: Path) -> dict[str, str]:
    try:
        values = json.loads(text)
        return {str(key): str(value) for key, value in values.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(
            f"{path} carries damaged metadata ({first_line(error)}). Export the model again."
        ) from None


def _nothing_there(path: Path) -> ModelFileError:
    return ModelFileError(f"{path} carries no metadata of mnist-cnn. Export the model with: mnist-cnn export RUN")
