"""Columns of scores in which texts are written more or less clearly, and a network that returns them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.reading.numbers.ctc import log_probabilities


def doubtful(*texts: str, sureness: float = 8.0) -> NDArray[np.float64]:
    """Columns in which texts of one length are written on each other, the first a little clearer than the next."""
    scores = np.zeros((3 * len(texts[0]) + 1, 11))
    scores[:, 0] = sureness
    for rank, text in enumerate(texts):
        for place, digit in enumerate(text):
            scores[3 * place + 1, int(digit) + 1] = 2 * sureness - rank
    return log_probabilities(scores)


class ReadsAlways:
    """A session that reads the same text whatever the picture shows, with many characters beside the digits.

    It keeps the pictures that it is given.
    """

    def __init__(self, text: str) -> None:
        self.pictures: list[NDArray[np.float32]] = []
        self.columns = np.exp(doubtful(text))

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="x")]

    def run(self, _: None, inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        (picture,) = inputs.values()
        assert picture.dtype == np.float32
        assert picture.shape[:3] == (1, 3, 48)
        self.pictures.append(picture)
        others = np.full((len(self.columns), 5), 0.1)
        return [np.concatenate([self.columns, others], axis=1, dtype=np.float32)[np.newaxis]]
