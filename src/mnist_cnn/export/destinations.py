"""Where an export may be written: to a free place, or over an earlier export."""

from __future__ import annotations

from pathlib import Path

from mnist_cnn.errors import InputError, SettingError
from mnist_cnn.export.formats.format import Format
from mnist_cnn.runs import RunFolder


def check_place(format_: Format, target: Path, model: Path) -> None:
    """Refuse to replace anything but an earlier export.

    Args:
        format_: The format to be written.
        target: The file or folder to be written.
        model: The run or the model file that is exported.

    Raises:
        SettingError: `target` is or contains the model itself, or is something else than an earlier export.
    """
    if not target.exists():
        return
    source = (RunFolder(model).model if model.is_dir() else model).resolve()
    if target.resolve() in (source, *source.parents):
        raise SettingError(f"{target} is or contains the model itself. Choose another folder with --output.")
    try:
        is_export = format_.read_metadata(target) is not None
    except InputError:
        is_export = False
    if not is_export:
        raise SettingError(
            f"{target} already exists and was not exported by mnist-cnn, so it is not replaced. "
            "Move it away, or choose another folder with --output."
        )
