"""What most people write first: one route, one recogniser, one image at a time."""

from __future__ import annotations

from fastapi import FastAPI, Request
from pydantic import BaseModel

from mnist_cnn import Recognizer


class Answer(BaseModel):
    """One image, read."""

    digit: int
    label: str
    confidence: float
    accepted: bool
    reason: str
    probabilities: list[float]


app = FastAPI()
recognizer = Recognizer.load(threads=1)


@app.get("/ready")
async def ready() -> None:
    """Answer, once the model is loaded."""


@app.post("/predict")
async def predict(request: Request) -> Answer:
    """Read the image that is the body."""
    reading = recognizer.read(await request.body())
    return Answer(
        digit=reading.digit,
        label=reading.label,
        confidence=reading.confidence,
        accepted=reading.accepted,
        reason=reading.reason,
        probabilities=reading.probabilities.tolist(),
    )
