"""The formats that a network can be exported to: one row per format."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from types import ModuleType

from mnist_cnn.errors import MissingExtraError, SettingError, suggest

ALL = "all"

# Modules, and the extras that bring them.
_KERAS, _TENSORFLOW = ("keras", "train"), ("tensorflow", "train")
_ONNX, _OPENVINO, _LITERT = ("onnx", "export"), ("openvino", "export"), ("ai_edge_litert", "export")


@dataclass(frozen=True)
class Format:
    """One format, by the module that writes and opens it."""

    name: str
    file: str  # in the folder of exports; a format of several files is a folder
    runtime: str  # what opens it, for people
    module: str  # in this package, with `write` (and `write_int8`), `stamp` and `open_reader`
    needs: tuple[tuple[str, str], ...]  # modules and the extras that bring them
    is_folder: bool = False
    is_int8: bool = False

    def load(self) -> ModuleType:
        """Import the module.

        Raises:
            MissingExtraError: Something that it needs is not installed.
        """
        if missing := self.missing():
            raise missing
        return importlib.import_module(f"mnist_cnn.export.formats.{self.module}")

    def missing(self) -> MissingExtraError | None:
        """Give the error that says what to install, or None where all is there."""
        missing = [need for need in self.needs if importlib.util.find_spec(need[0]) is None]
        if not missing:
            return None
        extras = dict.fromkeys(extra for _, extra in missing)
        return MissingExtraError(missing[0][0], *extras)


FORMATS = {
    each.name: each
    for each in (
        Format("onnx", "model.onnx", "ONNX Runtime", "onnx_file", (_KERAS, _ONNX)),
        Format("onnx-int8", "model.int8.onnx", "ONNX Runtime", "onnx_file", (_KERAS, _ONNX), is_int8=True),
        Format("litert", "model.tflite", "LiteRT", "litert", (_KERAS, _TENSORFLOW, _LITERT)),
        Format("litert-int8", "model.int8.tflite", "LiteRT", "litert", (_KERAS, _TENSORFLOW, _LITERT), is_int8=True),
        Format("savedmodel", "saved_model", "TensorFlow", "saved_model", (_KERAS, _TENSORFLOW), is_folder=True),
        Format("openvino", "openvino", "OpenVINO", "openvino_ir", (_KERAS, _ONNX, _OPENVINO), is_folder=True),
        Format("keras", "model.keras", "Keras", "keras_file", (_KERAS,)),
    )
}


def find_formats(names: list[str]) -> list[Format]:
    """Find formats by name, in the order of the table and each once; "all" is all of them.

    Args:
        names: Each one name, or several with commas between them.

    Raises:
        InputError: There is no such format.
    """
    wanted = {name.strip() for each in names for name in each.split(",") if name.strip()}
    for name in sorted(wanted - {ALL, *FORMATS}):
        raise SettingError(f"there is no format {name!r}. {suggest(name, [ALL, *FORMATS])}")
    if not wanted:
        raise SettingError(f"no format is named. Valid: {', '.join([ALL, *FORMATS])}.")
    return [each for each in FORMATS.values() if each.name in wanted or ALL in wanted]
