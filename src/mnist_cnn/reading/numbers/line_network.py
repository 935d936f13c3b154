"""The network that reads lines, in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.environment import shell
from mnist_cnn.errors import ModelFileError
from mnist_cnn.reading.conventions import LINE_OUTPUTS
from mnist_cnn.reading.numbers.ctc import SYMBOLS
from mnist_cnn.reading.numbers.line_preparation import HEIGHT, NARROWEST, with_paper
from mnist_cnn.reading.recognizer.network import find_network
from mnist_cnn.reading.recognizer.session import reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT = "images"
STRIDE = 4  # pixels of the line per column of scores
_WHITE = 255
_NEEDED = (
    f"A network for numbers takes {INPUT} (n, {HEIGHT}, w, 1) and returns scores (n, t, {SYMBOLS}) and boxes "
    f"(n, t, 4), with t = w / {STRIDE}"
)


@dataclass(frozen=True)
class LineNetwork:
    """A loaded network. It is immutable, so several threads may use it at the same time."""

    session: Any  # onnxruntime.InferenceSession with one thread

    @classmethod
    def find(cls, session: Any, origin: str) -> LineNetwork:
        """Check by trial that a session has the form that this reader needs.

        Args:
            session: From `start_session`.
            origin: The name of the file for messages.

        Raises:
            ModelFileError: It has not.
        """
        network = cls(session)
        try:
            network.run(np.zeros((HEIGHT, NARROWEST + 1), np.uint8))
        except Exception as error:  # ONNX Runtime's errors have no common class
            _refuse_digits(session, origin)
            raise ModelFileError(f"{origin} does not read numbers ({reason(error)}). {_NEEDED}.") from None
        return network

    def run(self, line: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on one line.

        Args:
            line: uint8 [32, w] from `line_preparation`.

        Returns:
            float32 [t, 11], the logits of the CTC blank and the ten digits in each column, with t = w / 4, rounded up;
            and float32 [t, 4], the left, top, right and bottom edge of the digit there, in pixels of the
            line.

        Raises:
            ModelFileError: The scores or boxes have another shape, or are not finite.
        """
        ink = with_paper(line, right=-line.shape[1] % STRIDE) * np.float32(1 / _WHITE)
        scores, boxes = (rows[0] for rows in self.session.run(LINE_OUTPUTS, {INPUT: ink[np.newaxis, :, :, np.newaxis]}))
        columns = ink.shape[1] // STRIDE
        is_shaped = scores.shape == (columns, SYMBOLS) and boxes.shape == (columns, 4)
        if not (is_shaped and np.isfinite(scores).all() and np.isfinite(boxes).all()):
            raise ModelFileError(f"its scores {scores.shape} or boxes {boxes.shape} of {columns} columns are not valid")
        return scores, _in_pixels(boxes)


def _refuse_digits(session: Any, origin: str) -> None:
    """Name the command for a network that reads single digits; return if it does not."""
    try:
        find_network(session, origin)
    except ModelFileError:
        return
    command = shell.join(["mnist-cnn", "predict", "--model", origin])
    raise ModelFileError(
        f"{origin} is a network for single digits, not for whole numbers. Use Recognizer, or: {command}"
    ) from None


def _in_pixels(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert boxes from heights of the line, left and right from their column's centre, to pixels of the line."""
    pixels = boxes * np.float32(HEIGHT)
    pixels[:, ::2] += (STRIDE * np.arange(len(boxes), dtype=np.float32) + STRIDE / 2)[:, np.newaxis]
    return pixels
