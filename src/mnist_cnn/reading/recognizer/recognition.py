"""The recogniser: a model file that reads digits."""

from __future__ import annotations

import numbers
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import DataError, ModelFileError, SettingError
from mnist_cnn.reading.ink import PREPROCESSING
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.recognizer.ahead import map_ahead
from mnist_cnn.reading.recognizer.arrangement import Images, arrange, arrange_one, check_stream
from mnist_cnn.reading.recognizer.external_weights import join_weights
from mnist_cnn.reading.recognizer.network import Network, adopt_network, find_network
from mnist_cnn.reading.recognizer.session import metadata_of, start_session
from mnist_cnn.reading.scaling import GREY_LEVELS, ScalingChoice, declared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.reading.ink import ImageSource, Prepared

Source = TypeVar("Source", bound="ImageSource")

_SHIPPED = Path(__file__).parents[1] / "weights" / "digits.onnx"  # importlib.resources would cost 8 ms at start
_EXPORTED = "model.onnx"  # as `mnist-cnn export` calls it
_IN_RUN = Path("exports", _EXPORTED)  # where it leaves it in a run folder
_OF_RUN = ("config.toml", "model.keras")  # a run folder holds one of them, as `mnist_cnn.runs` writes down
_LARGEST_FILE = 512 * 2**20  # bytes; networks for digits have a thousandth of it


@dataclass(frozen=True, eq=False)
class Reading:
    """One image, read."""

    digit: int  # index of the most probable class; the digit itself where the classes are the ten digits
    label: str  # that class's name
    confidence: float  # its calibrated probability, 0 … 1
    accepted: bool  # whether there is ink, of one digit, and the confidence reaches the threshold
    probabilities: NDArray[np.float32]  # [k], calibrated, sum 1
    has_ink: bool  # False: the image is blank, and the digit means nothing
    is_single: bool = True  # False: beside what was read there is other ink, as large as a digit

    @property
    def reason(self) -> str:
        """Why it is not accepted: "blank", "several" or "uncertain"; empty where it is."""
        if self.accepted:
            return ""
        if not self.has_ink:
            return "blank"
        return "uncertain" if self.is_single else "several"


@dataclass(frozen=True, eq=False)
class Recognizer:
    """Reads digits with one network. Nothing changes after `load`: use it from as many threads as you like.

    `mnist_cnn.reading.recognizer.arrangement` decides what is one image and what is many: an array [h, w] or [h, w, c],
    a path, bytes, an open file or a Pillow image is one; an array [n, h, w] or [n, h, w, c], or a list or tuple of
    single images, is many; all else is refused.

    An image that is uint8 [28, 28] or [28, 28, 1] and looks like MNIST's, its ink light on black, as large and where
    MNIST's is, goes to the network as it is. `mnist_cnn.reading.ink` makes that form of everything else: photos, dark
    ink on light paper, floats, digits too small, too large or in a corner.

    Attributes:
        network: The loaded network.
        metadata: What the file says of itself.
        threshold: A digit is accepted where its confidence is at least this, 0 … 1.
        threads: That share the work of one call.
        choice: The range in which the network gets grey levels, and how that is known.
    """

    network: Network
    metadata: ModelMetadata
    threshold: float
    threads: int
    choice: ScalingChoice = field(default_factory=declared)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        threads: int | None = None,
        threshold: float | None = None,
        scale: float | None = None,
    ) -> Recognizer:
        """Load a model file. It is read as data, and can run no code.

        Args:
            path: An ONNX file, or a run folder that was exported. None for the weights that come with this package.
            threads: That share the work of one call; None for one per core that this process may use. 1 is the
                frugal choice where many threads of the caller's read at once: nothing spins, nothing waits.
            threshold: Confidence, 0 … 1, from which a digit is accepted; None for the file's own.
            scale: What the network wants grey levels 0 … 255 multiplied by; None for what the file says, or else for
                what reads known digits best, as `mnist_cnn.reading.scaling` describes.

        Raises:
            InputError: There is no such file, it is none that can be read here, or an argument is out of range.
            ModelFileError: Its metadata are damaged.

        Warns:
            UserWarning: Its threshold was chosen with another version of `ink`, or nothing shows in what range it
                wants grey levels.
        """
        _check_range("threads", threads, 1, 1024)
        _check_range("threshold", threshold, 0.0, 1.0)
        _check_range("scale", scale, 1e-9, 1e9)
        threads = threads or usable_cores()
        data, origin = read_model_file(None if path is None else Path(path))
        session = start_session(data, origin)
        metadata = ModelMetadata.from_strings(metadata_of(session, origin), origin)
        if metadata and scale:
            raise SettingError(f"{origin} says itself how it wants its images. Leave out the scale ({scale:g}).")
        network = find_network(session, origin)
        network, choice = (
            (replace(network, scaling=GREY_LEVELS), declared()) if metadata else adopt_network(network, scale)
        )
        if choice.origin == "assumed":
            warnings.warn(f"{origin}: {choice.remark}", stacklevel=2)
        metadata = metadata or ModelMetadata(tuple(str(index) for index in range(network.classes)))
        if len(metadata.class_names) != network.classes:
            raise ModelFileError(
                f"{origin} names {len(metadata.class_names)} classes and scores {network.classes}. Export it again."
            )
        if metadata.preprocessing not in ("", PREPROCESSING):
            warnings.warn(
                f"{origin} chose its rejection threshold with preprocessing {metadata.preprocessing!r}, this version "
                f"prepares images by {PREPROCESSING!r}. Export the model again.",
                stacklevel=2,
            )
        if threads > 1:
            network = replace(network, wide=start_session(data, origin, threads))
        threshold = metadata.rejection_threshold if threshold is None else threshold
        return cls(network, metadata, threshold, threads, choice)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, by index."""
        return self.metadata.class_names

    def predict(self, images: Images) -> NDArray[np.int64]:
        """Give the most probable class of each image.

        Args:
            images: One image or many, of any number; see the class.

        Returns:
            int64 [n], indices of `class_names`; one image gives n = 1.

        Raises:
            DataError: An image cannot be read.
        """
        best: NDArray[np.int64] = self.network.scores(arrange(images, self.threads), self.threads).argmax(axis=1)
        return best

    def predict_proba(self, images: Images) -> NDArray[np.float32]:
        """Give the calibrated probability of every class for each image.

        Args:
            images: One image or many, of any number; see the class.

        Returns:
            float32 [n, k], rows of sum 1; one image gives n = 1.

        Raises:
            DataError: An image cannot be read.
        """
        return self._calibrated(self.network.scores(arrange(images, self.threads), self.threads))

    def read(self, image: ImageSource) -> Reading:
        """Read one image.

        Raises:
            DataError: It cannot be read.
        """
        return self.read_prepared([arrange_one(image)])[0]

    def read_prepared(self, prepared: Sequence[Prepared]) -> list[Reading]:
        """Read pictures that `ink` has prepared, any number of them, in the caller's thread alone."""
        if not prepared:
            return []
        images = np.array([each.image for each in prepared])  # uint8 [n, 28, 28]
        probabilities = self._calibrated(self.network.scores(images, threads=1))  # [n, k]
        return [self._reading(*pair) for pair in zip(prepared, probabilities, strict=True)]

    def _reading(self, prepared: Prepared, probabilities: NDArray[np.float32]) -> Reading:
        digit = int(probabilities.argmax())
        confidence = float(probabilities[digit])
        accepted = prepared.has_ink and prepared.is_single and confidence >= self.threshold
        return Reading(
            digit=digit,
            label=self.class_names[digit],
            confidence=confidence,
            accepted=accepted,
            probabilities=probabilities,
            has_ink=prepared.has_ink,
            is_single=prepared.is_single,
        )

    def read_many(self, images: Iterable[Source]) -> Iterator[tuple[Source, Reading | DataError]]:
        """Read images as they come, a few at a time, in order; memory does not grow with their number.

        Args:
            images: A list, tuple, array or iterator of single images, taken one by one.

        Yields:
            Each image with its reading, or with the error that says why it cannot be read.

        Raises:
            InputError: It is a single image.
            DataError: It is neither a list, a tuple, an array of many images nor an iterator.
        """
        check_stream(images)
        return map_ahead(self._read_or_say_why, images, self.threads)

    def _read_or_say_why(self, image: Source) -> tuple[Source, Reading | DataError]:
        try:
            return image, self.read(image)
        except DataError as error:
            return image, error

    def _calibrated(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.metadata.calibrate(self.network.as_logits(scores), logits=self.network.kind != "probabilities")


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    kind = numbers.Integral if isinstance(low, int) else numbers.Real
    if value is not None and not (isinstance(value, kind) and low <= value <= high):
        raise SettingError(f"{name} = {value!r} is not valid. Valid: {low:g} to {high:g}.")


def read_model_file(path: Path | None) -> tuple[bytes, str]:
    """Read a model file whole, and say what to call it.

    Args:
        path: An ONNX file, or a run folder that was exported. None for the weights that come with this package.

    Returns:
        The file's content, with the weights inside that it keeps in a second file beside it; and its name.

    Raises:
        ModelFileError: There is none, it is of another kind, or its weights cannot be found.
    """
    if path is None:
        return _SHIPPED.read_bytes(), "the model that ships"
    if path.suffix in (".tflite", ".xml"):
        raise ModelFileError(f"{path} is for another runtime. Give the ONNX file: mnist-cnn export RUN --format onnx")
    if path.suffix in (".keras", ".h5"):
        raise ModelFileError(f"{path} is a Keras model, for training. Export it: mnist-cnn export {path}")
    file = path
    if path.is_dir():
        file = path / _EXPORTED if (path / _EXPORTED).exists() else path / _IN_RUN
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise ModelFileError(
                f"{file} has more than {_LARGEST_FILE >> 20} MB, so it is not a network for digits. Give an ONNX file."
            )
        return join_weights(file.read_bytes(), file), str(file)
    except FileNotFoundError:
        raise ModelFileError(_about_missing_model(path, file)) from None
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror}. Give an ONNX file.") from None


def _about_missing_model(path: Path, file: Path) -> str:
    if not path.is_dir():
        return f"there is no model {file}. Give an ONNX file or an exported run."
    if any((path / name).exists() for name in _OF_RUN):
        return f"there is no model {file}. Make it with: mnist-cnn export {path}"
    return (
        f"{path} is not a run folder: it holds no {', '.join(_OF_RUN)} or {_EXPORTED}. Give an ONNX file, or the "
        "folder that `mnist-cnn train` or `mnist-cnn export` printed."
    )
