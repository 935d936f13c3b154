"""From the network's scores to a number, with its probability and the place of each digit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.reading.numbers.ctc import BLANK, align, best_path, text_log_probabilities
from mnist_cnn.reading.numbers.guidance import Constrained
from mnist_cnn.reading.numbers.prefix_search import Free, search

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.reading.numbers.automaton import Automaton

_CANDIDATES = 4  # texts of the search whose probability is summed over all paths
SURPRISE = math.log(1e-3)  # log-probability of a number that one look did not expect: it is not a proof against it
SURE = math.log(0.95)  # log-probability of a text that needs neither rivals nor a closer look
_PROBABLY_BLANK = math.log(0.5)


@dataclass(frozen=True, eq=False)
class Decoded:
    """The most probable number in a network's scores."""

    text: str  #: empty if the columns are blank, or nothing that fits has room in them
    log_probability: float  #: natural logarithm of the text's probability, given that the number fits
    log_fit: float  #: natural logarithm of the probability that the number fits; 0 without a constraint
    peaks: NDArray[np.intp]  #: [n], the column of each digit
    confidences: NDArray[np.float64]  #: [n], the probability of each digit among those in its place that fit, 0 to 1


@dataclass(frozen=True)
class Candidates:
    """The most probable texts."""

    texts: list[str]  #: the best first; may contain the empty text; none if the columns are blank, or nothing fits
    log_fit: float  #: natural logarithm of the probability that the number fits; 0 without a constraint
    logs: dict[str, float] = field(default_factory=dict)  #: natural logarithms of texts' probabilities, if known


def decode(columns: NDArray[np.float64], automaton: Automaton | None = None) -> Decoded:
    """Find the most probable text.

    Args:
        columns: float64 [t, 11], natural logarithms of the symbols' probabilities; t ≥ 1.
        automaton: Restricts the texts; None for all.
    """
    found = candidates(columns, automaton)
    return describe(columns, found.texts[0] if found.texts else "", found.log_fit, automaton)


def candidates(columns: NDArray[np.float64], automaton: Automaton | None = None) -> Candidates:
    """Find the most probable texts.

    Blank columns stay blank whatever is asked for, because a constraint would find digits on empty paper.

    Args:
        columns: As for `decode`.
        automaton: As for `decode`.
    """
    if columns[:, BLANK].sum() > _PROBABLY_BLANK:
        return Candidates([], 0.0)
    if automaton is None:
        text = best_path(columns)
        log = float(text_log_probabilities(columns, [text])[0])
        if log > SURE:  # nothing else is probable: a search would cost several times as long
            return Candidates([text], 0.0, {text: log})
        return _best_first(columns, search(Free(columns), len(columns)), 0.0)
    guide = Constrained(columns, automaton)
    if guide.log_fit == -math.inf:
        return Candidates([], -math.inf)
    return _best_first(columns, search(guide, len(columns)), guide.log_fit)


def describe(
    columns: NDArray[np.float64],
    text: str,
    log_fit: float,
    automaton: Automaton | None = None,
    closer: Sequence[NDArray[np.float64]] = (),
) -> Decoded:
    """Compute the probability of a text, and the place and the confidence of each digit.

    Args:
        columns: As for `decode`.
        text: It fits, and there is room for it in the columns.
        log_fit: As in `Candidates`.
        automaton: As for `decode`.
        closer: Columns of other looks at the same number, with room for it, float64 [t, 11] each. The confidences are
            those of all looks together, as in `looks.judge_together`.
    """
    if not text:
        return Decoded("", -math.inf, log_fit, np.empty(0, np.intp), np.empty(0))
    alignment = align(columns, text)
    own = np.arange(len(text)), [int(digit) for digit in text]
    log_probability = min(0.0, float(alignment.substitutes[own][0]) - log_fit)
    substitutes = alignment.substitutes  # [n, 10]
    if closer:
        all_looks = [substitutes, *(align(each, text).substitutes for each in closer)]
        substitutes = np.mean([np.logaddexp(each, SURPRISE) for each in all_looks], axis=0)
    if automaton is not None:
        substitutes = np.where(automaton.accepted_substitutes(text), substitutes, -np.inf)
    confidences = np.exp(substitutes[own] - np.logaddexp.reduce(substitutes, axis=1))
    return Decoded(text, log_probability, log_fit, alignment.peaks, confidences)


def _best_first(columns: NDArray[np.float64], texts: list[str], log_fit: float) -> Candidates:
    texts = texts[:_CANDIDATES]
    logs = dict(zip(texts, text_log_probabilities(columns, texts).tolist(), strict=True))
    return Candidates(sorted(texts, key=logs.__getitem__, reverse=True), log_fit, logs)
