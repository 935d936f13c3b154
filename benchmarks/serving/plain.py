"""What most people write first: one route, one recogniser, one image at a time."""

from __future__ import annotations

from fastapi import FastAPI, Request

from mnist_cnn import Recognizer
from serving.answer import Answer, answer_of

app = FastAPI()
recognizer = Recognizer.load(threads=1)


@app.get("/ready")
async def ready() -> None:
    """Answer once the model is loaded."""


@app.post("/predict")
async def predict(request: Request) -> Answer:
    """Read the image in the body."""
    return answer_of(recognizer.read(await request.body()))
