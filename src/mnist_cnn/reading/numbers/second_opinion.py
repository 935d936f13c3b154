"""A second reader for numbers: the recognition network of RapidOCR, a general reader of text that others trained.

The package `rapidocr` contains the network as a file. Only this file is used, none of RapidOCR's code: that code cannot
restrict the characters, and its confidence, the mean of the characters' probabilities, says little about a whole
number. Here, the network's scores for digits are decoded like those of this package's own network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mnist_cnn.environment.installation import package_command
from mnist_cnn.errors import ModelFileError, requires_extra
from mnist_cnn.reading.numbers.looks import Look, considered, judge_together
from mnist_cnn.reading.recognizer.model_file import read_model_file
from mnist_cnn.reading.recognizer.session import metadata_of, start_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.reading.ink.pixels import Pixels

NETWORK = "rapidocr/models/PP-OCRv6_rec_small.onnx"  # within the site-packages of rapidocr `_KNOWN`
_KNOWN = "3.10"  # version of rapidocr; a later one that the extra `ocr` allows may contain another network
_HEIGHT = 48  # pixels, as in RapidOCR's settings
_NARROWEST = 320  # pixels; a narrower picture is filled up with grey, as RapidOCR does
_CHARACTERS = "character"  # the key of the network's metadata that lists its characters
_SMALLEST = 1e-12  # probability; the network's own underflow to 0

# Chosen on the development pictures of cheques and ledgers.
# Log-probabilities of a number that a reader does not rule out. Only ours has learnt what is not a number.
_OWN_POSSIBLE, _POSSIBLE = math.log(0.3), math.log(0.05)
# Of a single digit; chosen on clothes, where trousers are a 1 to both readers, though not surely to ours.
_OWN_POSSIBLE_ALONE = math.log(0.8)
THRESHOLD = 0.996  # minimum confidence of an accepted number


@dataclass(frozen=True, eq=False)
class SecondOpinion:
    """RapidOCR's recognition network, restricted to digits. It is immutable, so threads may share it.

    Attributes:
        session: An ONNX Runtime session with one thread.
        classes: [11], the classes of the CTC blank and the ten digits among all characters.
    """

    session: Any
    classes: NDArray[np.intp]

    @classmethod
    def load(cls, path: Path | None = None) -> SecondOpinion:
        """Load the network as data: no code of another package runs, and nothing is downloaded.

        Args:
            path: The recognition network of RapidOCR, an ONNX file; None for the one in the installed package.

        Raises:
            MissingExtraError: RapidOCR is not installed.
            ModelFileError: The file is missing, damaged or of another kind.
        """
        data, origin = read_model_file(path or _installed(), Path(NETWORK))
        session = start_session(data, origin)
        characters = metadata_of(session, origin).get(_CHARACTERS, "").splitlines()
        if not set("0123456789") <= set(characters):
            raise ModelFileError(
                f"{origin} lists no digits in its metadata. Give the file of rapidocr {_KNOWN}, {NETWORK}."
            )
        digits = [1 + characters.index(digit) for digit in "0123456789"]  # class 0 is the blank
        return cls(session, np.array([0, *digits]))

    def columns(self, grey: Pixels) -> NDArray[np.float64]:
        """Run the network on a picture.

        Args:
            grey: uint8 [h, w], as `read_image` returns it: the network was trained on pictures without preparation.

        Returns:
            float64 [t, 11], natural logarithms of the probabilities of the blank and the digits, given that no other
            character is there.
        """
        (name,) = (each.name for each in self.session.get_inputs())
        probabilities = self.session.run(None, {name: _prepared(grey)})[0][0]  # [t, all characters]
        logs: NDArray[np.float64] = np.log(probabilities[:, self.classes].astype(np.float64).clip(_SMALLEST))
        return logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)


@dataclass(frozen=True)
class Verdict:
    """What two readers think of one picture."""

    text: str  #: the number that is most probable to both together; empty if our reader finds none
    confidence: float  #: its probability among all that either considers, 0 to 1
    is_agreed: bool  #: whether neither of them rules it out


def reconcile(own: Sequence[Look], other: Look) -> Verdict:
    """Find the number that is most probable to both readers together.

    Args:
        own: Looks of this package's network at the picture, at least one.
        other: The second reader's look. It counts only among numbers that fit.
    """
    texts = considered([*own, other])
    if not texts:
        return Verdict("", 0.0, False)
    own_logs, other_logs = judge_together(own, texts), judge_together([other], texts)
    scores = own_logs + other_logs
    best = int(scores.argmax())
    least = _OWN_POSSIBLE_ALONE if len(texts[best]) == 1 else _OWN_POSSIBLE
    is_agreed = own_logs[best] > least and other_logs[best] > _POSSIBLE
    return Verdict(texts[best], float(np.exp(scores[best] - np.logaddexp.reduce(scores))), bool(is_agreed))


def _installed() -> Path:
    """Return the path of the network in the installed package."""
    from importlib.metadata import distribution

    with requires_extra("ocr"):
        package = distribution("rapidocr")
    path = Path(str(package.locate_file(NETWORK)))
    if not path.is_file():
        raise ModelFileError(
            f"the installed rapidocr {package.version} does not contain {NETWORK}. Install version {_KNOWN}: "
            f"{package_command(f'rapidocr=={_KNOWN}.*')}"
        )
    return path


def _prepared(grey: Pixels) -> NDArray[np.float32]:
    """Resize to the height of RapidOCR's pictures: float32 [1, 3, 48, w], -1 to 1; 0 to the right of a narrow picture.

    Up to that height it is the same as in RapidOCR. Higher pictures are interpolated there, too, which skips pixels;
    here, all of their pixels are averaged. A wide picture may be one column wider here: its width is rounded up.
    """
    height, width = grey.shape
    ratio = width / height
    columns = math.ceil(_HEIGHT * ratio)
    interpolation = cv2.INTER_AREA if height > _HEIGHT else cv2.INTER_LINEAR
    line = cv2.resize(grey, (columns, _HEIGHT), interpolation=interpolation)
    filled = np.zeros((1, 3, _HEIGHT, max(columns, _NARROWEST)), np.float32)
    filled[..., :columns] = line / np.float32(127.5) - 1
    return filled
