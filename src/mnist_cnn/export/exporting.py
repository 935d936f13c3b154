"""One export, from the Keras model to a checked file in its final place."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from mnist_cnn.errors import MnistCnnError, SettingError, first_line
from mnist_cnn.export import MAX_DROP
from mnist_cnn.export.check import Agreement, check_batches, check_difference, check_drop, compare
from mnist_cnn.export.destinations import check_place
from mnist_cnn.export.folders import write_whole_folder
from mnist_cnn.export.formats.format import Format
from mnist_cnn.export.original import Original
from mnist_cnn.files import write_whole


@dataclass(frozen=True)
class Exported:
    """A finished export."""

    format: Format
    path: Path
    size: int  #: bytes, of all its files
    seconds: float  #: to write and check it
    agreement: Agreement
    description: str = ""  #: what it needs to run; empty for formats of large machines


def export(original: Original, format_: Format, folder: Path, allowed_drop: float = MAX_DROP) -> Exported:
    """Write the network in one format, check it, and put it in place. On failure, an earlier export stays.

    Args:
        original: From `open_original`.
        format_: One of `FORMATS`.
        folder: Where `format_.file` is written.
        allowed_drop: Accuracy that an int8 format may cost, percentage points.

    Raises:
        InputError: The format cannot express a layer of the network, there are no digits to calibrate int8 on, or the
            place is taken by something else than an earlier export.
        MissingExtraError: The format needs a package that is not installed.
        CheckError: The file does not compute what the Keras model computes.
        MnistCnnError: The converter failed, or the folder cannot be written.
    """
    if missing := format_.missing():
        raise missing
    if format_.is_int8 and not len(original.representative):
        raise SettingError(
            f"{format_.name} needs labelled digits for calibration and its check. "
            "Name the data set that the model was trained on with --dataset."
        )
    target = folder / format_.file
    check_place(format_, target, original.path)
    began = time.perf_counter()
    with write_whole_folder(target) if format_.is_folder else write_whole(target) as partial:
        try:
            agreement = _write_and_check(original, format_, partial, allowed_drop)
        except (MnistCnnError, OSError, MemoryError):
            raise
        except Exception as error:  # converters and runtimes raise errors of many kinds
            raise MnistCnnError(
                f"{format_.name}: the conversion failed with {type(error).__name__} ({first_line(error)}). "
                "Nothing was written."
            ) from error
        description = format_.describe(partial) if format_.describe else ""
        size = sum(file.stat().st_size for file in [partial, *partial.rglob("*")] if file.is_file())
    return Exported(format_, target, size, time.perf_counter() - began, agreement, description)


def _write_and_check(original: Original, format_: Format, partial: Path, allowed_drop: float) -> Agreement:
    format_.write(original, partial)
    agreement = compare(format_.open_reader(partial), original)
    if format_.is_int8:
        check_drop(agreement.drop or 0.0, format_.name, allowed_drop)
    else:
        check_difference(agreement.difference, format_.name)
    metadata = replace(original.metadata, accuracy=agreement.accuracy)
    format_.stamp(partial, metadata)
    # Check again, because stamping has written to the file.
    check_batches(format_.open_reader(partial), original, format_.name, exact=not format_.is_int8)
    if format_.read_metadata(partial) != metadata:
        raise MnistCnnError(f"{format_.name}: the metadata cannot be read back. Nothing was written.")
    return agreement
