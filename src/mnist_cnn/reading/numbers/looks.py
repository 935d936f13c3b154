"""Several looks at one picture, by one network or by several, and the number that fits all of them best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.reading.numbers.ctc import text_log_probabilities
from mnist_cnn.reading.numbers.decoding import SURPRISE, candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.reading.numbers.automaton import Automaton
    from mnist_cnn.reading.numbers.decoding import Candidates


@dataclass(frozen=True, eq=False)
class Look:
    """What one look at a picture considers."""

    columns: NDArray[np.float64]  #: [t, 11], natural logarithms of the symbols' probabilities
    found: Candidates

    @classmethod
    def at(cls, columns: NDArray[np.float64], automaton: Automaton | None = None) -> Look:
        """Find the most probable numbers in a network's columns.

        Args:
            columns: float64 [t, 11], natural logarithms of the symbols' probabilities.
            automaton: Restricts the numbers; None for all.
        """
        return cls(columns, candidates(columns, automaton))

    def judge(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the logarithms of the texts' probabilities, given that the number fits; -inf without room for it."""
        if not texts or self.found.log_fit == -math.inf:
            return np.full(len(texts), -math.inf)
        logs = self.found.logs
        if new := [text for text in texts if text not in logs]:
            logs.update(zip(new, text_log_probabilities(self.columns, new).tolist(), strict=True))
        return np.array([logs[text] for text in texts]) - self.found.log_fit


def considered(looks: Sequence[Look]) -> list[str]:
    """Return the numbers that any look considers and the first one has room for."""
    texts = [text for text in dict.fromkeys(text for look in looks for text in look.found.texts) if text]
    if not looks[0].found.texts:
        return []
    return [text for text, log in zip(texts, looks[0].judge(texts), strict=True) if log > -math.inf]


def judge_together(looks: Sequence[Look], texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the mean over all looks of the logarithms of the texts' probabilities (a product of experts, Hinton 2002).

    A look that is sure of a wrong number must not overrule the others, so no number is less probable than `SURPRISE`.
    """
    logs = np.logaddexp([look.judge(texts) for look in looks], SURPRISE)  # [looks, n]
    return np.asarray(logs.sum(axis=0) / len(looks))
