"""The reader: a loaded network that reads whole numbers."""

from __future__ import annotations

import functools
import itertools
import math
import os
import statistics
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import DataError, ModelFileError
from mnist_cnn.reading.ink.sources import read_reduced
from mnist_cnn.reading.numbers.constraints import Constraint, Length
from mnist_cnn.reading.numbers.ctc import BLANK, log_probabilities
from mnist_cnn.reading.numbers.decoding import SURE, Decoded, describe
from mnist_cnn.reading.numbers.line_network import LineNetwork
from mnist_cnn.reading.numbers.line_preparation import (
    CROPS,
    HEIGHT,
    PREPARATION,
    WIDEST,
    PreparedLine,
    look_closer,
    prepare_picture,
    too_wide,
)
from mnist_cnn.reading.numbers.looks import Look, considered, judge_together
from mnist_cnn.reading.numbers.number_metadata import NumberMetadata
from mnist_cnn.reading.numbers.number_reading import Box, NumberDigit, NumberReading, NumberReason
from mnist_cnn.reading.numbers.second_opinion import THRESHOLD, SecondOpinion, Verdict, reconcile
from mnist_cnn.reading.recognizer.ahead import map_ahead
from mnist_cnn.reading.recognizer.arrangement import check_stream
from mnist_cnn.reading.recognizer.model_file import read_model_file, read_second_files
from mnist_cnn.reading.recognizer.recognition import check_range
from mnist_cnn.reading.recognizer.session import metadata_of, start_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.reading.ink import ImageSource
    from mnist_cnn.reading.ink.pixels import Pixels
    from mnist_cnn.reading.numbers.automaton import Automaton

Source = TypeVar("Source", bound="ImageSource")

SHIPPED_WEIGHTS = Path(__file__).parents[1] / "weights" / "numbers.onnx"
_SURELY_BLANK = math.log(0.9)  # log-probability of the blank; in other columns there may be a digit
_PLAUSIBLE = 0.1  # confidence of a longer number in the whole picture; then the field shows only a part of it
_FAR = 2.5  # heights of digits between two digits; spaced codes have less, and more are two numbers
_MORE = 1.01  # ratio of scales; a line that is narrower than its picture by more was squeezed


@dataclass(frozen=True, eq=False)
class NumberReader:
    """Reads whole numbers with one network. It is immutable, so any number of threads may share it.

    Attributes:
        network: The loaded network.
        metadata: What the file says about itself.
        threshold: A number is accepted if its confidence is at least this, 0 to 1.
        threads: Number of threads that share the work of `read_many`.
        second_opinion: Another network that reads each picture as well; None for this one alone.
    """

    network: LineNetwork
    metadata: NumberMetadata
    threshold: float
    threads: int
    second_opinion: SecondOpinion | None = None

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        threads: int | None = None,
        threshold: float | None = None,
        second_opinion: bool = False,
    ) -> NumberReader:
        """Load a model file. It is read as data and cannot run code.

        Args:
            path: An ONNX file. None for the included weights.
            threads: Number of threads that share the work of `read_many`; None for one per available core.
            threshold: Minimum confidence, 0 to 1, of an accepted number; None for the file's own, or for that of two
                readers.
            second_opinion: Whether RapidOCR's network reads each picture as well. The confidence is then that of both
                together, and a number that one of them rules out is rejected. It needs the extra `ocr`, and several
                times as long.

        Raises:
            MissingExtraError: A second opinion is asked for, and RapidOCR is not installed.
            InputError: There is no such file, it is unsupported or damaged, or an argument is out of range.

        Warns:
            UserWarning: Its threshold was chosen with another version of `line_preparation`.
        """
        check_range("threads", threads, 1, 1024)
        check_range("threshold", threshold, 0.0, 1.0)
        data, origin = read_model_file(None if path is None else Path(path), SHIPPED_WEIGHTS)
        second_files = read_second_files(data, Path(origin)) if path else {}
        session = start_session(data, origin, second_files=second_files)
        metadata = NumberMetadata.from_strings(metadata_of(session, origin), origin)
        network = LineNetwork.find(session, origin)
        if metadata is None:
            raise ModelFileError(f"{origin} has no metadata of this package. Export the network again.")
        if metadata.preprocessing not in ("", PREPARATION):
            warnings.warn(
                f"the threshold of {origin} was chosen with preparation {metadata.preprocessing!r}, but this version "
                f"prepares pictures with {PREPARATION!r}. Export the network again.",
                stacklevel=2,
            )
        other = SecondOpinion.load() if second_opinion else None
        if threshold is None:
            threshold = THRESHOLD if other else metadata.rejection_threshold
        return cls(network, metadata, threshold, threads or usable_cores(), other)

    def read(self, image: ImageSource, *, length: Length | None = None, pattern: str | None = None) -> NumberReading:
        r"""Read one picture of a number.

        Args:
            image: An array [h, w] or [h, w, c], a path, bytes, an open file or a Pillow image.
            length: Number of digits, if it is known: 5, "5", "3-6" or (3, 6).
            pattern: A regular expression that the number matches as a whole, such as r"[1-9]\d{4}". Only digits are
                read, so whatever else the pattern allows never occurs.

        Raises:
            DataError: The picture cannot be read, or is too wide for its height.
            SettingError: The length or the pattern is invalid, too complex, or fits no number.
        """
        return self._read(image, Constraint.of(length, pattern))

    def read_many(
        self, images: Iterable[Source], *, length: Length | None = None, pattern: str | None = None
    ) -> Iterator[tuple[Source, NumberReading | DataError]]:
        """Read pictures one by one, in order. Memory does not grow with their number.

        Args:
            images: A list, tuple, array or iterator of single pictures.
            length: See `read`; the same for all.
            pattern: See `read`; the same for all.

        Yields:
            Each picture with its reading, or with the error that says why it cannot be read.

        Raises:
            DataError: It is a single picture, or neither a list, a tuple, an array of many pictures nor an iterator.
            SettingError: The length or the pattern is invalid, too complex, or fits no number.
        """
        check_stream(images)
        constraint = Constraint.of(length, pattern)
        return map_ahead(functools.partial(self._read_or_error, constraint), images, self.threads)

    def read_prepared(
        self, line: PreparedLine, constraint: Constraint | None = None, grey: Pixels | None = None
    ) -> NumberReading:
        """Read a picture that `line_preparation` has prepared, in the calling thread only.

        A part of a number may look like a small number. The whole picture is then read too, and often tells.

        Args:
            line: The prepared picture.
            constraint: What the number must fit; None for any number.
            grey: The picture's grey levels, uint8 [h, w]; only needed for a second opinion.

        Raises:
            DataError: It is too wide for its height.
            ValueError: There is a second reader, but nothing that it could read.
        """
        if self.second_opinion and grey is None:
            raise ValueError("a second opinion needs the grey levels of the picture")
        is_alone = not line.field or line.field.is_single
        reading = self._read_line(line, constraint, grey, is_alone)
        if line.whole is None:
            return reading
        whole = self._read_line(line.whole, constraint, grey, is_alone)
        of_whole, of_field = whole.confidence * whole.fit, reading.confidence * reading.fit
        has_more = len(whole.text) > len(reading.text) and of_whole > _PLAUSIBLE
        return whole if has_more or of_whole > of_field else reading

    def looks(self, line: PreparedLine, automaton: Automaton | None = None) -> tuple[list[Look], NDArray[np.float32]]:
        """Look at a picture, and closer at its number while that is doubtful; return also the first look's boxes."""
        columns, boxes = self._run(line)
        looks = [Look.at(columns, automaton)]
        inked = boxes[columns[:, BLANK] < _SURELY_BLANK]
        if len(inked) and looks[0].found.texts:
            box = (*inked[:, :2].min(axis=0).tolist(), *inked[:, 2:].max(axis=0).tolist())
            for crop in CROPS:
                closer = None if _judge(looks)[1] > SURE else look_closer(line, box, crop)
                if closer is None:
                    break
                looks.append(Look.at(self._run(closer)[0], automaton))
        return looks, boxes

    def _read_line(
        self, line: PreparedLine, constraint: Constraint | None, grey: Pixels | None, is_alone: bool
    ) -> NumberReading:
        _check_width(line)
        if not line.has_ink:
            return _NOTHING
        automaton = constraint.automaton if constraint else None
        looks, boxes = self.looks(line, automaton)
        verdict = self._verdict(looks, line, automaton, grey)
        text, first = verdict.text, looks[0]
        closer = [look.columns for look in looks[1:] if text and look.judge([text])[0] > -math.inf]
        decoded = describe(first.columns, text, first.found.log_fit, automaton, closer)
        is_single = is_alone and not _is_apart(boxes[decoded.peaks])
        return _reading(decoded, verdict.confidence, self._reason(decoded, verdict, is_single), boxes, line)

    def _verdict(
        self, looks: list[Look], line: PreparedLine, automaton: Automaton | None, grey: Pixels | None
    ) -> Verdict:
        """Judge the looks, together with those of the second reader if there is one."""
        if self.second_opinion is None or grey is None:
            text, log_probability = _judge(looks)
            return Verdict(text, self.metadata.confidence(log_probability), is_agreed=True)
        shown = line.field.cut(grey) if line.field else grey
        return reconcile(looks, Look.at(self.second_opinion.columns(shown), automaton))

    def _reason(self, decoded: Decoded, verdict: Verdict, is_single: bool) -> str:
        """Return why a number is rejected; empty if it is not."""
        if decoded.log_fit == -math.inf:
            return NumberReason.UNFIT
        if not decoded.text:
            return NumberReason.BLANK
        if _fit(decoded) < self.metadata.fit_threshold:
            return NumberReason.UNFIT
        if not is_single:
            return NumberReason.SEVERAL
        if not verdict.is_agreed:
            return NumberReason.DISPUTED
        return NumberReason.UNCERTAIN if verdict.confidence < self.threshold else ""

    def _read(self, image: ImageSource, constraint: Constraint | None) -> NumberReading:
        grey, reduction = read_reduced(image)
        return self.read_prepared(prepare_picture(grey, reduction), constraint, grey)

    def _run(self, line: PreparedLine) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Run the network: the log-probabilities of the symbols in each column [t, 11], and the boxes [t, 4]."""
        scores, boxes = self.network.run(line.image)
        return log_probabilities(scores, self.metadata.temperature), boxes

    def _read_or_error(self, constraint: Constraint | None, image: Source) -> tuple[Source, NumberReading | DataError]:
        try:
            return image, self._read(image, constraint)
        except DataError as error:
            return image, error


_NOTHING = NumberReading("", 0.0, (), NumberReason.BLANK)


def _judge(looks: list[Look]) -> tuple[str, float]:
    """Return the number that all looks together find most probable, and the logarithm of its probability."""
    texts = considered(looks)
    if not texts:
        return "", -math.inf
    logs = judge_together(looks, texts)
    best = int(logs.argmax())
    return texts[best], float(logs[best])


def _is_apart(boxes: NDArray[np.float32]) -> bool:
    """Return whether digits' boxes, [n, 4], are so far apart that they are several numbers."""
    if len(boxes) < 2:
        return False
    edges = boxes.tolist()  # np.median takes many times as long
    height = statistics.median(bottom - top for _, top, _, bottom in edges)
    return any(right[0] - left[2] > _FAR * height for left, right in itertools.pairwise(edges))


def _check_width(line: PreparedLine) -> None:
    if line.image.shape[1] >= WIDEST and line.scale_x > _MORE * line.scale_y:
        raise too_wide(line.image.shape[1] * line.scale_x / (HEIGHT * line.scale_y))


def _fit(decoded: Decoded) -> float:
    return math.exp(min(0.0, decoded.log_fit))


def _reading(
    decoded: Decoded, confidence: float, reason: str, boxes: NDArray[np.float32], line: PreparedLine
) -> NumberReading:
    places = _places(boxes[decoded.peaks], line)
    digits = tuple(map(NumberDigit, decoded.text, decoded.confidences.tolist(), places))
    return NumberReading(decoded.text, confidence, digits, reason, _fit(decoded))


def _places(boxes: NDArray[np.float32], line: PreparedLine) -> list[Box]:
    """Convert boxes [n, 4], left, top, right, bottom, in pixels of the line to pixels of the original picture."""
    height, width = line.image.shape
    edges = np.minimum(np.maximum(boxes, 0), (width, height, width, height))
    corners = edges[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    placed = corners * (line.scale_x, line.scale_y) + (line.left, line.top)
    if line.field:
        placed = line.field.to_picture(placed)
    placed = placed * line.reduction
    extents = np.concatenate([placed.min(axis=1), placed.max(axis=1)], axis=1)
    return [Box(*extent) for extent in extents.tolist()]
