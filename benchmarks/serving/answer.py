"""What the compared servers answer."""

from __future__ import annotations

from pydantic import BaseModel

from mnist_cnn import Reading


class Answer(BaseModel):
    """One image, read."""

    digit: int
    label: str
    confidence: float
    accepted: bool
    reason: str
    probabilities: list[float]


def answer_of(reading: Reading) -> Answer:
    """Make of a reading what becomes JSON."""
    return Answer(
        digit=reading.digit,
        label=reading.label,
        confidence=reading.confidence,
        accepted=reading.accepted,
        reason=reading.reason,
        probabilities=reading.probabilities.tolist(),
    )
