"""The recogniser: a loaded model that reads digits."""

from __future__ import annotations

import numbers
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import DataError, ModelFileError, SettingError
from mnist_cnn.reading.ink import PREPROCESSING
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.recognizer.ahead import map_ahead
from mnist_cnn.reading.recognizer.arrangement import Images, arrange, arrange_one, check_stream
from mnist_cnn.reading.recognizer.model_file import read_model_file, read_second_files
from mnist_cnn.reading.recognizer.network import Network, adopt_network, find_network
from mnist_cnn.reading.recognizer.session import metadata_of, start_session
from mnist_cnn.reading.recognizer.verdict import Reading
from mnist_cnn.reading.scaling import DECLARED, GREY_LEVELS, ScalingChoice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.reading.ink import ImageSource, Prepared

Source = TypeVar("Source", bound="ImageSource")


@dataclass(frozen=True, eq=False)
class Recognizer:
    """Reads digits with one network. It is immutable, so any number of threads may share it.

    `mnist_cnn.reading.recognizer.arrangement` defines what is one image and what is many: an array [h, w] or
    [h, w, c], a path, bytes, an open file or a Pillow image is one; an array [n, h, w] or [n, h, w, c], or a list or
    tuple of single images, is many. Anything else is refused.

    A uint8 image [28, 28] or [28, 28, 1] that looks like MNIST's (light ink on black, with MNIST's size and place)
    goes to the network unchanged. `mnist_cnn.reading.ink` converts everything else to that form: photos, dark ink on
    light paper, floats, digits too small, too large or off-centre.

    Attributes:
        network: The loaded network.
        metadata: What the file says about itself.
        threshold: A digit is accepted if its confidence is at least this, 0 to 1.
        threads: Number of threads that share the work of one call.
        choice: The range of the grey levels that the network gets, and how it was determined.
    """

    network: Network
    metadata: ModelMetadata
    threshold: float
    threads: int
    choice: ScalingChoice = DECLARED

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        threads: int | None = None,
        threshold: float | None = None,
        scale: float | None = None,
    ) -> Recognizer:
        """Load a model file. It is read as data and cannot run code.

        Args:
            path: An ONNX file, or a run folder that was exported. None for the included weights.
            threads: Number of threads that share the work of one call; None for one per available core. Use 1 if many
                threads of your own read at the same time: then no thread spins or waits.
            threshold: Minimum confidence, 0 to 1, of an accepted digit; None for the file's own.
            scale: Factor that converts grey levels 0 to 255 for this network; None for what the file says,
                or else for what works best on known digits, see `mnist_cnn.reading.scaling`.

        Raises:
            InputError: There is no such file, it is unsupported or damaged, or an argument is out of range.

        Warns:
            UserWarning: Its threshold was chosen with another version of `ink`, or the range of grey levels that it
                needs is unknown.
        """
        check_range("threads", threads, 1, 1024)
        check_range("threshold", threshold, 0.0, 1.0)
        check_range("scale", scale, 1e-9, 1e9)
        threads = threads or usable_cores()
        data, origin = read_model_file(None if path is None else Path(path))
        second_files = read_second_files(data, Path(origin)) if path is not None else {}
        session = start_session(data, origin, second_files=second_files)
        metadata = ModelMetadata.from_strings(metadata_of(session, origin), origin)
        if metadata and scale:
            raise SettingError(f"{origin} declares its input range. Leave out the scale ({scale:g}).")
        network, choice = find_network(session, origin), DECLARED
        if metadata:
            network = replace(network, scaling=GREY_LEVELS)
        else:
            network, choice = adopt_network(network, scale)
            metadata = ModelMetadata(tuple(str(index) for index in range(network.classes)))
        _check_metadata(metadata, choice, network.classes, origin)
        if threads > 1:
            network = replace(network, wide=start_session(data, origin, threads, second_files))
        threshold = metadata.rejection_threshold if threshold is None else threshold
        return cls(network, metadata, threshold, threads, choice)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, by index."""
        return self.metadata.class_names

    def predict(self, images: Images) -> NDArray[np.int64]:
        """Return the most probable class of each image.

        Args:
            images: One image or many; see the class.

        Returns:
            int64 [n], indices of `class_names`; n = 1 for one image.

        Raises:
            DataError: An image cannot be read.
        """
        best: NDArray[np.int64] = self.network.scores(arrange(images, self.threads), self.threads).argmax(axis=1)
        return best

    def predict_proba(self, images: Images) -> NDArray[np.float32]:
        """Return the calibrated probability of every class for each image.

        Args:
            images: One image or many; see the class.

        Returns:
            float32 [n, k], rows of sum 1; n = 1 for one image.

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
        """Read any number of images that `ink` has prepared, in the calling thread only."""
        if not prepared:
            return []
        images = np.array([each.image for each in prepared])  # uint8 [n, 28, 28]
        probabilities = self._calibrated(self.network.scores(images, threads=1))  # [n, k]
        return [self._reading(*pair) for pair in zip(prepared, probabilities, strict=True)]

    def read_many(self, images: Iterable[Source]) -> Iterator[tuple[Source, Reading | DataError]]:
        """Read images one by one, in order. Memory does not grow with their number.

        Args:
            images: A list, tuple, array or iterator of single images.

        Yields:
            Each image with its reading, or with the error that says why it cannot be read.

        Raises:
            DataError: It is a single image, or neither a list, a tuple, an array of many images nor an iterator.
        """
        check_stream(images)
        return map_ahead(self._read_or_error, images, self.threads)

    def _reading(self, prepared: Prepared, probabilities: NDArray[np.float32]) -> Reading:
        digit = int(probabilities.argmax())
        confidence = float(probabilities[digit])
        return Reading(
            digit=digit,
            label=self.class_names[digit],
            confidence=confidence,
            is_confident=confidence >= self.threshold,
            probabilities=probabilities,
            has_ink=prepared.has_ink,
            is_single=prepared.is_single,
        )

    def _read_or_error(self, image: Source) -> tuple[Source, Reading | DataError]:
        try:
            return image, self.read(image)
        except DataError as error:
            return image, error

    def _calibrated(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.metadata.calibrate(self.network.as_logits(scores), logits=self.network.kind != "probabilities")


def check_range(name: str, value: float | None, low: float, high: float) -> None:
    """Check an argument that may be None; whole limits allow whole numbers only.

    Raises:
        SettingError: It is out of range.
    """
    kind = numbers.Integral if isinstance(low, int) else numbers.Real
    if value is not None and not (isinstance(value, kind) and low <= value <= high):
        raise SettingError(f"{name} = {value!r} is not valid. Valid: {low:g} to {high:g}.")


def _check_metadata(metadata: ModelMetadata, choice: ScalingChoice, classes: int, origin: str) -> None:
    """Refuse metadata that do not fit the network; warn about what may make readings worse."""
    if len(metadata.class_names) != classes:
        raise ModelFileError(
            f"{origin} names {len(metadata.class_names)} classes, but its network has {classes}. Export it again."
        )
    if choice.origin == "assumed":
        warnings.warn(f"{origin}: {choice.remark}", stacklevel=3)
    if metadata.preprocessing not in ("", PREPROCESSING):
        warnings.warn(
            f"the rejection threshold of {origin} was chosen with preprocessing {metadata.preprocessing!r}, but this "
            f"version prepares images with {PREPROCESSING!r}. Export the model again.",
            stacklevel=3,
        )
