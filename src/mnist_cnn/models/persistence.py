"""Keras models on disk: written completely or not at all, opened without running code from the file."""

from __future__ import annotations

import io
import logging
import math
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.config import SHIPPED_MODEL
from mnist_cnn.errors import InputError, MnistCnnError, ModelFileError, SettingError, first_line, requires_extra
from mnist_cnn.files import write_whole
from mnist_cnn.reading.conventions import IMAGE_SHAPES
from mnist_cnn.reading.scaling import DECLARED, Adoption, KnownDigits, Scaling, ScalingChoice, bundled_digits, choose
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.datasets import Dataset, ResolvedDataset
    from mnist_cnn.models.backend import keras

INPUT_SHAPE = (None, *IMAGE_SHAPES[0])
MODEL_SUFFIXES = (".keras", ".h5")
_TRIED = 2000  # training images on which the usual ranges are tried
# Words in Keras' errors that tell why it refuses a file.
_SIGNS_OF_CODE = ("`Lambda`", "safe_mode", "unsafe", "Could not locate", "Unknown layer", "custom_objects")
_SIGN_OF_WEIGHTS = "No model config found"
_VALID = "Give a run folder, or a model saved by Keras (model.save)."
_SHIPPED = Path(__file__).parents[1] / "reading" / "weights" / f"{SHIPPED_MODEL}.keras"


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A model that takes grey levels 0 to 255, [n, 28, 28, 1], and how it was adapted to do so."""

    model: keras.Model  # returns [n, k]
    adoption: Adoption


def open_model(path: str | os.PathLike[str], *, scale: float | None = None) -> keras.Model:
    """Open the model of a run folder, or a `.keras` or `.h5` file, without running code from the file.

    A third-party model is rebuilt if it takes images of another shape or in another range, or if it returns
    scores before a softmax.

    Args:
        path: A run folder or a file; or "digits" for the included weights.
        scale: Factor that converts grey levels 0 to 255 for this model; None to find out, see `scaling`.

    Returns:
        A model that takes grey levels 0 to 255, [n, 28, 28, 1], and returns probabilities, [n, k].

    Raises:
        ModelFileError: There is no model, it needs code of its own (Lambda layers, custom classes), or it does not take
            28×28 images and return [n, k].
        SettingError: A scale is given for a model that declares its range, or is out of range.

    Warns:
        UserWarning: The file leaves something open, and this was assumed.
    """
    opened = read_model(Path(path), scale=scale)
    for remark in opened.adoption.remarks:
        warnings.warn(f"{path}: {remark}", stacklevel=2)
    return opened.model


def read_model(
    path: Path, *, scale: float | None = None, known: Callable[[int], KnownDigits] = bundled_digits
) -> OpenedModel:
    """Open a model as `open_model` does, and also return how it was adapted.

    Args:
        path: As for `open_model`.
        scale: As for `open_model`.
        known: Returns the digits on which the usual ranges are tried, with labels for a model of so many classes;
            called only if they must be tried.

    Raises:
        InputError: As for `open_model`.
    """
    if scale is not None and not 0 < scale < math.inf:
        raise SettingError(f"scale = {scale!r} is not valid. Valid: a number above 0, such as 1 or {1 / 255:.6f}.")
    file = model_file(path)
    model = _load(file)
    _check_shapes(model, file)
    try:
        return _adopt(model, file, scale, known)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # its layers can fail in many ways of Keras or its backend
        raise ModelFileError(
            f"{file} cannot be run on 28×28 digits ({first_line(error)}). Give a model that Keras runs on this machine."
        ) from error


def model_file(path: Path) -> Path:
    """Return the file of a model that is named as for `open_model`.

    Raises:
        ModelFileError: There is no such file, or it has another suffix.
    """
    if path == Path(SHIPPED_MODEL):
        return _SHIPPED
    file = RunFolder(path).model if path.is_dir() else path
    if not file.is_file():
        raise ModelFileError(
            f"there is no model {file}. Give a run, a .keras file, or {SHIPPED_MODEL!r} for the included weights. "
            "Train one with: mnist-cnn train"
        )
    if file.suffix not in MODEL_SUFFIXES:
        raise ModelFileError(
            f"{file} is not a Keras model: its name must end in {' or '.join(MODEL_SUFFIXES)}. Give such a file, a "
            f"run, or {SHIPPED_MODEL!r} for the included weights."
        )
    return file


def save_model(model: keras.Model, path: Path) -> None:
    """Write the model in Keras' own format; the path ends in `.keras`."""
    with write_whole(path) as partial:
        model.save(partial)


def save_weights(model_file: Path, path: Path) -> None:
    """Copy the weights out of a `.keras` file; the path ends in `.weights.h5`.

    `Model.save_weights` would let HDF5 write to the disk, and HDF5 crashes the process if the disk is full.
    """
    with write_whole(path) as partial, zipfile.ZipFile(model_file) as archive:
        partial.write_bytes(archive.read("model.weights.h5"))


def save_legacy_h5(model: keras.Model, path: Path) -> None:
    """Write the model in Keras' old format, first in memory for the same reason; the path ends in `.h5`."""
    import h5py  # type: ignore[import-untyped]  # it ships no type information

    class InMemory(h5py.File):  # type: ignore[misc]
        def __str__(self) -> str:  # Keras chooses the format by it
            return path.name

    content = io.BytesIO()
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)  # Keras would warn that the format is old
    try:
        with InMemory(content, "w") as file:
            model.save(file)
    finally:
        logger.setLevel(level)
    with write_whole(path) as partial:
        partial.write_bytes(content.getvalue())


def _load(file: Path) -> keras.Model:
    with requires_extra("train"):
        from mnist_cnn.models.backend import keras  # slow, so it comes after the check that the file exists

    try:
        # Not compiled: prediction needs no optimizer or loss, and data that are not read cannot do harm.
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged or hostile file can fail in many ways of Keras, h5py or zipfile
        raise ModelFileError(f"{file} cannot be opened as a Keras model: {_why_not_opened(file, error)}") from error


def _why_not_opened(file: Path, error: Exception) -> str:
    """Return why Keras refuses a file, and what to use instead."""
    is_sound = zipfile.is_zipfile(file) if file.suffix == ".keras" else _is_hdf5(file)
    if not is_sound:
        return f"it is damaged or of another kind. {_VALID}"
    if _SIGN_OF_WEIGHTS in str(error):
        return "it contains only weights. Save the whole model with model.save."
    if any(sign in str(error) for sign in _SIGNS_OF_CODE):
        return (
            "it has Lambda layers or other code of its own, and code in a file is not run. Give a model of "
            "Keras' own layers."
        )
    return f"{first_line(error)}. {_VALID}"


def _is_hdf5(file: Path) -> bool:
    import h5py

    return bool(h5py.is_hdf5(file))


def _check_shapes(model: Any, file: Path) -> None:
    given = getattr(model, "input_shape", None)
    outputs = getattr(model, "output_shape", None)
    if not (isinstance(given, tuple) and given[1:] in IMAGE_SHAPES):
        valid = ", ".join(str((None, *shape)) for shape in IMAGE_SHAPES)
        raise ModelFileError(f"{file} takes {given}. Valid: grey images of 28×28 pixels, as {valid}.")
    if not (isinstance(outputs, tuple) and len(outputs) == 2 and (outputs[1] or 0) >= 2):
        raise ModelFileError(f"{file} returns {outputs}. Valid: (None, k), a probability for each of k ≥ 2 classes.")


def _adopt(model: keras.Model, file: Path, scale: float | None, known: Callable[[int], KnownDigits]) -> OpenedModel:
    """Rebuild a model unless it declares everything and needs no change."""
    from mnist_cnn.models.foreign import fits, give_probabilities, rebuild, takes_grey_levels

    is_declared = takes_grey_levels(model)
    if is_declared and scale:
        raise SettingError(f"{file} declares its input range. Leave out --scale ({scale:g}).")
    if is_declared and fits(model):
        return OpenedModel(model, Adoption())
    if is_declared:
        choice = DECLARED
    elif scale:
        choice = ScalingChoice(Scaling(scale), "user")
    else:
        choice = _try_ranges(model, known(model.output_shape[-1]))
    rebuilt = rebuild(model, None if is_declared else choice.scaling)
    return OpenedModel(rebuilt, Adoption(choice, change=give_probabilities(rebuilt)))


def _try_ranges(model: keras.Model, known: KnownDigits) -> ScalingChoice:
    from mnist_cnn.models.foreign import rebuild

    bare = rebuild(model)

    def ask(scaling: Scaling) -> NDArray[np.float32]:
        scaled = scaling.apply(known.images)[..., np.newaxis]
        return np.asarray(bare.predict(scaled, batch_size=200, verbose=0), np.float32)

    return choose(ask, known)


def known_digits_of(data: ResolvedDataset, classes: int) -> KnownDigits:
    """Draw from a data set's training images; return the bundled digits if these are not available offline."""
    try:
        return draw_known_digits(data.load("train", offline=True), classes)
    except MnistCnnError:
        return bundled_digits(classes)  # only the test set is available


def draw_known_digits(train: Dataset, classes: int) -> KnownDigits:
    """Draw digits from a training split, on which a third-party model can show which input range it needs.

    Args:
        train: Some of the ten digits are numbered as a network of ten expects.
        classes: Of the network; images of other classes are left out.
    """
    train = train.numbered_for(classes)
    count = min(_TRIED, len(train))
    drawn = train.subset(np.sort(np.random.default_rng(0).choice(len(train), count, replace=False)))
    known = KnownDigits(drawn.images, drawn.labels, f"training images of {train.name}").of_classes(classes)
    return known if len(known.labels) else bundled_digits(classes)
