"""Whole numbers that were read, beside what is written: how many are right, and which threshold accepts how many."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_cnn.datasets.number_folder import LabelledNumber
from mnist_cnn.errors import DataError
from mnist_cnn.evaluation.metrics import Interval, RiskCoverage, accuracy_interval, risk_coverage
from mnist_cnn.evaluation.number_calibration import WRONG_AMONG_ACCEPTED
from mnist_cnn.reading.numbers import NumberReading
from mnist_cnn.reading.reading_records import describe_error

_DECIMALS = range(4, 17)  # of a suggested threshold


@dataclass(frozen=True)
class NumberOutcome:
    """What was read in one picture."""

    truth: LabelledNumber
    result: NumberReading | DataError  #: the error if the picture cannot be read

    @property
    def read(self) -> str:
        """The digits that were read; empty if there are none."""
        return "" if isinstance(self.result, DataError) else self.result.text

    @property
    def confidence(self) -> float:
        """The confidence of the reading, 0 to 1; 0 if the picture cannot be read."""
        return 0.0 if isinstance(self.result, DataError) else self.result.confidence

    @property
    def reason(self) -> str:
        """Why it is not accepted, as `mnist-cnn read` says it; empty if it is."""
        return "unreadable" if isinstance(self.result, DataError) else self.result.reason

    @property
    def is_right(self) -> bool:
        """Whether exactly what is written was read."""
        return self.read == self.truth.text

    @property
    def is_candidate(self) -> bool:
        """Whether the threshold alone decides if it is accepted."""
        return not isinstance(self.result, DataError) and self.result.is_candidate


@dataclass(frozen=True)
class OperatingPoint:
    """How many of some pictures are accepted at one threshold."""

    threshold: float  #: minimum confidence, 0 to 1
    pictures: int
    accepted: int
    wrong: int  #: how many of the accepted are not what is written

    @property
    def coverage(self) -> float:
        """The share of the pictures that is accepted."""
        return self.accepted / self.pictures

    @property
    def risk(self) -> Interval | None:
        """The share of the accepted that is wrong, with its Wilson interval; None if nothing is accepted."""
        return accuracy_interval(self.wrong, self.accepted) if self.accepted else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, ready for JSON."""
        risk = self.risk
        return {
            "threshold": self.threshold,
            "accepted": self.accepted,
            "accepted_share": self.coverage,
            "wrong": self.wrong,
            "wrong_share": risk.value if risk else None,
            "wrong_interval": [risk.low, risk.high] if risk else None,
        }


@dataclass(frozen=True)
class NumberResults:
    """What one model reads in a folder of labelled pictures."""

    model: str  #: as the user calls it
    dataset: str  #: the folder
    threshold: float  #: the model's own, 0 to 1
    outcomes: tuple[NumberOutcome, ...]  #: at least one

    @property
    def numbers(self) -> int:
        """How many of the pictures show a number."""
        return sum(bool(each.truth.text) for each in self.outcomes)

    @property
    def right(self) -> int:
        """How many of these were read without any error, accepted or not."""
        return sum(each.is_right for each in self.outcomes if each.truth.text)

    @property
    def accuracy(self) -> Interval | None:
        """The share of the numbers that was read without any error, with its Wilson interval; None without numbers."""
        return accuracy_interval(self.right, self.numbers) if self.numbers else None

    @property
    def unreadable(self) -> list[str]:
        """Why pictures could not be read, which count as not read."""
        return [
            describe_error(each.result, str(each.truth.path))
            for each in self.outcomes
            if isinstance(each.result, DataError)
        ]

    @functools.cached_property
    def curve(self) -> RiskCoverage:
        """How much is accepted, and how much of it is wrong, at each threshold."""
        return acceptance_curve((each.confidence, each.is_right, each.is_candidate) for each in self.outcomes)

    @property
    def own(self) -> OperatingPoint:
        """What the model's own threshold accepts."""
        return self.at(self.threshold)

    @functools.cached_property
    def suggested(self) -> OperatingPoint | None:
        """What the lowest threshold with at most `WRONG_AMONG_ACCEPTED` wrong accepts; None if there is none."""
        threshold = self.curve.threshold_at(WRONG_AMONG_ACCEPTED)
        if threshold == math.inf:
            return None
        lower = self.curve.thresholds[self.curve.thresholds < threshold].max(initial=-1.0)
        return self.at(_short(float(lower), threshold))

    @property
    def surest_wrong(self) -> list[NumberOutcome]:
        """What was misread, the accepted first, and then by confidence."""
        wrong = [each for each in self.outcomes if not each.is_right and not isinstance(each.result, DataError)]
        return sorted(wrong, key=lambda each: (each.is_candidate, each.confidence), reverse=True)

    def at(self, threshold: float) -> OperatingPoint:
        """Count what is accepted at a threshold, 0 to 1."""
        accepted = [each for each in self.outcomes if each.is_candidate and each.confidence >= threshold]
        wrong = sum(not each.is_right for each in accepted)
        return OperatingPoint(threshold, len(self.outcomes), len(accepted), wrong)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        accuracy = self.accuracy
        return {
            "model": self.model,
            "dataset": self.dataset,
            "n": len(self.outcomes),
            "numbers": self.numbers,
            "unreadable": len(self.unreadable),
            "right": self.right,
            "accuracy": accuracy.value if accuracy else None,
            "accuracy_interval": [accuracy.low, accuracy.high] if accuracy else None,
            "own_threshold": self.own.as_dict(),
            "suggested_threshold": self.suggested.as_dict() if self.suggested else None,
        }


def acceptance_curve(readings: Iterable[tuple[float, bool, bool]]) -> RiskCoverage:
    """Return how much is accepted, and how much of it is wrong, at each threshold.

    Args:
        readings: The confidence of each, of any range; whether it is right; and whether it is a candidate, see
            `NumberReading`. The others are accepted at no threshold, but count among all.
    """
    rows = list(readings)
    candidates = [(confidence, is_right) for confidence, is_right, is_candidate in rows if is_candidate]
    confidence = np.array([each for each, _ in candidates], np.float64)
    return risk_coverage(confidence, np.array([is_right for _, is_right in candidates], bool), len(rows))


def pair(numbers: Iterable[LabelledNumber], results: Iterable[NumberReading | DataError]) -> tuple[NumberOutcome, ...]:
    """Put what was read beside what is written; both in the same order."""
    return tuple(NumberOutcome(truth, result) for truth, result in zip(numbers, results, strict=True))


def _short(lower: float, upper: float) -> float:
    """Return a number above `lower` and at most `upper` with few decimals, so that it can be typed."""
    rounded = (math.floor(upper * 10**decimals) / 10**decimals for decimals in _DECIMALS)
    return next((each for each in rounded if lower < each <= upper), upper)
