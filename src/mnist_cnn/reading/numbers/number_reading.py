"""What was read in a picture of a number, and why it may not be trusted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

_DECIMALS = 6  # of a confidence: the precision of float32
_TENTHS = 1  # decimals of a place in pixels


class NumberReason(StrEnum):
    """Why a number is rejected. The only list of these names; `text` explains each to people."""

    BLANK = "blank"
    SEVERAL = "several"
    UNCERTAIN = "uncertain"
    UNFIT = "unfit"
    DISPUTED = "disputed"

    @property
    def text(self) -> str:
        """What is wrong, and what to try, in one or two sentences."""
        return _TEXTS[self]


_TEXTS = {
    NumberReason.BLANK: "No digits were found. Use a darker pen, crop closer, or turn the picture upright if it lies "
    "on its side.",
    NumberReason.SEVERAL: "There is more than one number or line of writing. Cut the picture into parts.",
    NumberReason.UNCERTAIN: "This is not clearly one number. Crop closer, or let a person read it.",
    NumberReason.UNFIT: "This does not look like a number of that length or pattern. Check both, or crop closer.",
    NumberReason.DISPUTED: "The two readers do not agree on this number. Let a person read it.",
}


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the original picture, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class NumberDigit:
    """One digit of a number."""

    text: str  #: "0" to "9"
    confidence: float  #: its probability among the ten digits in its place, 0 to 1, if the other digits are right
    box: Box  #: where it is written

    def to_dict(self) -> dict[str, Any]:
        """Return the digit as values for JSON."""
        box = {side: round(edge, _TENTHS) for side, edge in asdict(self.box).items()}
        return {"text": self.text, "confidence": round(self.confidence, _DECIMALS), "box": box}


@dataclass(frozen=True)
class NumberReading:
    """The result for one picture."""

    text: str  #: the most probable number; empty if no digits were found, or nothing fits
    confidence: float  #: the calibrated probability, given that the number fits, that all of the text is right, 0 to 1
    digits: tuple[NumberDigit, ...]  #: one for each character of the text, from left to right
    reason: str  #: why it is rejected, a value of `NumberReason`; empty if it is accepted
    fit: float = 1.0  #: the probability that what is written fits what was asked for, 0 to 1

    @property
    def accepted(self) -> bool:
        """Whether there are digits, they fit, and the confidence reaches the threshold."""
        return not self.reason

    @property
    def is_candidate(self) -> bool:
        """Whether the threshold alone decides if it is accepted; other reasons reject it at any threshold."""
        return self.reason in ("", NumberReason.UNCERTAIN)

    def to_dict(self) -> dict[str, Any]:
        """Return what was read as values for JSON: text, confidence, accepted, and digits with confidence and box."""
        return {
            "text": self.text,
            "confidence": round(self.confidence, _DECIMALS),
            "accepted": self.accepted,
            "digits": [digit.to_dict() for digit in self.digits],
        }
