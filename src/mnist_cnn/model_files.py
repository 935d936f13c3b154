"""Keras models on disk: written whole or not at all, opened without running code that a file may carry."""

from __future__ import annotations

import difflib
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_cnn.config import SHIPPED_MODEL
from mnist_cnn.datasets.dataset import IMAGE_SIZE
from mnist_cnn.errors import ModelFileError, first_line
from mnist_cnn.files import write_whole
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from mnist_cnn.backend import keras

INPUT_SHAPE = (None, IMAGE_SIZE, IMAGE_SIZE, 1)
MODEL_SUFFIXES = (".keras", ".h5")
_SHIPPED = Path(__file__).with_name("weights") / f"{SHIPPED_MODEL}.keras"


def open_model(path: Path) -> keras.Model:
    """Open a run folder's model or a `.keras` or `.h5` file, running no code that the file may carry.

    Args:
        path: Of either; or "digits" for the network that ships.

    Raises:
        InputError: Nothing there, no Keras model, one that needs code of its own (Lambda layers, custom
            classes), or one that does not take [n, 28, 28, 1] and give [n, k].
    """
    file = model_file(path)
    from mnist_cnn.backend import keras  # slow, and whether there is a file is asked before

    try:
        # Not compiled: prediction needs no optimizer or loss, and what is not read cannot do harm.
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # a broken or hostile file can fail in any of Keras', h5py's or zipfile's ways
        raise ModelFileError(
            f"{file} cannot be opened as a Keras model ({first_line(error)}). "
            "Give a run folder or a .keras file that this package saved."
        ) from error
    _check_shapes(model, file)
    return model


def model_file(path: Path) -> Path:
    """Find the file of a model named as for `open_model`.

    Raises:
        InputError: Nothing there, or no model file's suffix.
    """
    if path == Path(SHIPPED_MODEL):
        return _SHIPPED
    file = RunFolder(path).model if path.is_dir() else path
    if not file.is_file():
        is_close = difflib.get_close_matches(path.stem, [SHIPPED_MODEL])
        hint = f"Did you mean {SHIPPED_MODEL!r}?" if is_close else "Train one with: mnist-cnn train"
        raise ModelFileError(f"there is no model {file}. {hint}")
    if file.suffix not in MODEL_SUFFIXES:
        raise ModelFileError(
            f"{file} is no model file: its name must end in {' or '.join(MODEL_SUFFIXES)}. Name such a file, a run, or "
            f"{SHIPPED_MODEL!r} for the network that ships."
        )
    return file


def save_model(model: keras.Model, path: Path) -> None:
    """Write the model in Keras' own format; the path ends in `.keras`."""
    with write_whole(path) as partial:
        model.save(partial)


def save_weights(model_file: Path, path: Path) -> None:
    """Write the weights alone, as they lie in a `.keras` file; the path ends in `.weights.h5`.

    `Model.save_weights` would let HDF5 write to the disk, and when that is full, HDF5 crashes the process.
    """
    with write_whole(path) as partial, zipfile.ZipFile(model_file) as archive:
        partial.write_bytes(archive.read("model.weights.h5"))


def save_legacy_h5(model: keras.Model, path: Path) -> None:
    """Write the model in Keras' old format, in memory first for the same reason; the path ends in `.h5`."""
    import h5py  # type: ignore[import-untyped]  # it ships no type information

    # Keras' public function takes no open file. Imported here, so that only this verb depends on a private name.
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5  # noqa: TID251

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        save_model_to_hdf5(model, file)
    with write_whole(path) as partial:
        partial.write_bytes(content.getvalue())


def _check_shapes(model: Any, file: Path) -> None:
    given = getattr(model, "input_shape", None)
    outputs = getattr(model, "output_shape", None)
    if given != INPUT_SHAPE:
        raise ModelFileError(f"{file} takes {given}, expected {INPUT_SHAPE}: raw grey images of 28×28 pixels.")
    if not (isinstance(outputs, tuple) and len(outputs) == 2 and (outputs[1] or 0) >= 2):
        raise ModelFileError(f"{file} gives {outputs}, expected (None, k): a probability for each of k ≥ 2 classes.")
