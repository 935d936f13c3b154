"""The registry of export formats: one module per file format, listed here."""

from __future__ import annotations

from mnist_cnn.errors import SettingError, suggest
from mnist_cnn.export.formats import keras_file, litert, microcontroller, onnx_file, openvino_ir, saved_model
from mnist_cnn.export.formats.format import Format

__all__ = ["ALL", "FORMATS", "Format", "find_formats"]

ALL = "all"
_MODULES = (onnx_file, litert, microcontroller, saved_model, openvino_ir, keras_file)
FORMATS = {each.name: each for module in _MODULES for each in module.FORMATS}


def find_formats(names: list[str]) -> list[Format]:
    """Look up formats by name, in the order of `FORMATS` and without duplicates; "all" selects every format.

    Args:
        names: Each a name, or several names separated by commas.

    Raises:
        SettingError: There is no such format.
    """
    wanted = {name.strip() for each in names for name in each.split(",") if name.strip()}
    for name in sorted(wanted - {ALL, *FORMATS}):
        raise SettingError(f"there is no format {name!r}. {suggest(name, [ALL, *FORMATS])}")
    if not wanted:
        raise SettingError(f"no format was given. Valid: {', '.join([ALL, *FORMATS])}.")
    return [each for each in FORMATS.values() if each.name in wanted or ALL in wanted]
