"""Where an export may be put: where nothing is, or in the place of an earlier one."""

from __future__ import annotations

from pathlib import Path

from mnist_cnn.errors import InputError, SettingError
from mnist_cnn.export.metadata_files import read_metadata
from mnist_cnn.runs import RunFolder


def check_place(target: Path, model: Path) -> None:
    """Refuse to replace anything but an earlier export.

    Args:
        target: The file or folder to be written.
        model: The run or the model file that is exported.

    Raises:
        InputError: `target` is or holds the model itself, or it is there and does not say that it was exported.
    """
    if not target.exists():
        return
    source = (RunFolder(model).model if model.is_dir() else model).resolve()
    if target.resolve() in (source, *source.parents):
        raise SettingError(f"{target} is where the model itself lies. Choose another folder with --output.")
    try:
        read_metadata(target)
    except InputError:
        raise SettingError(
            f"{target} is there already and is no export of mnist-cnn, so it is not replaced. "
            "Move it away, or choose another folder with --output."
        ) from None
