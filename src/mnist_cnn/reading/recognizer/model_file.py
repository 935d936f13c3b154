"""Find and read a model file, with the weights that it may keep in a second file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mnist_cnn.errors import ModelFileError
from mnist_cnn.files import EXPORTS_NAME, ONNX_NAME

SHIPPED_WEIGHTS = Path(__file__).parents[1] / "weights" / "digits.onnx"  # importlib.resources would cost 8 ms at start
_IN_RUN = Path(EXPORTS_NAME, ONNX_NAME)
_LARGEST_FILE = 512 * 2**20  # bytes; networks for digits are a thousand times smaller


def read_model_file(path: Path | None, included: Path = SHIPPED_WEIGHTS) -> tuple[bytes, str]:
    """Read a model file.

    Args:
        path: An ONNX file, or a run folder that was exported. None for the included weights.
        included: The included weights.

    Returns:
        The content of the file, and its name for messages.

    Raises:
        ModelFileError: There is none, it is of another kind, or it cannot be read.
    """
    if path is None:
        return included.read_bytes(), "the included weights"
    if path.suffix in (".keras", ".h5"):
        raise ModelFileError(f"{path} is a Keras model. Export it first: {_export_command(path)}")
    file = path
    if os.path.isdir(path):  # noqa: PTH112  # never raises
        file = path / ONNX_NAME if (path / ONNX_NAME).exists() else path / _IN_RUN
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise ModelFileError(
                f"{file} has more than {_LARGEST_FILE >> 20} MB, so it is not a network for digits. Give an ONNX file."
            )
        return file.read_bytes(), str(file)
    except FileNotFoundError:
        raise ModelFileError(_missing(path)) from None
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror}. Give an ONNX file.") from None


def read_second_files(data: bytes, file: Path) -> Mapping[str, bytes]:
    """Read the files in which an ONNX file may keep its weights, as PyTorch's exporter writes them.

    Only files beside the model are read, never what a link elsewhere points to. The model's name may be a link too:
    download caches keep both files in one other folder.

    Args:
        data: The content of the ONNX file.
        file: Its path.

    Returns:
        The content of each file whose name occurs in the ONNX file, by name.

    Raises:
        ModelFileError: They are too large together.
    """
    if b"location" not in data:  # a field of every reference to a second file
        return {}
    folders = file.parent.resolve(), file.resolve().parent
    named = [
        path
        for path in file.parent.iterdir()
        if os.fsencode(path.name) in data
        and path.resolve().parent in folders
        and path.is_file()
        and path.stat().st_size <= _LARGEST_FILE
    ]
    if sum(path.stat().st_size for path in named) > _LARGEST_FILE:
        raise ModelFileError(
            f"the files beside {file} that it names have more than {_LARGEST_FILE >> 20} MB together. Put the model "
            "and its weights into a folder of their own."
        )
    return {path.name: path.read_bytes() for path in named}


def _missing(path: Path) -> str:
    if not os.path.isdir(path):  # noqa: PTH112
        return f"there is no model {path}. Give an ONNX file or an exported run."
    return (
        f"there is no model in {path}: neither {ONNX_NAME} nor {_IN_RUN}. If it is a run folder, export it first: "
        f"{_export_command(path)}"
    )


def _export_command(path: Path) -> str:
    from mnist_cnn.environment import shell

    return shell.join(["mnist-cnn", "export", str(path)])
