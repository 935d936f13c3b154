"""The same behind BentoML, with its adaptive batching; runs in an environment that has it."""

from __future__ import annotations

import base64

import bentoml

from mnist_cnn import Recognizer
from mnist_cnn.reading.recognizer.arrangement import arrange_one
from serving.answer import Answer, answer_of


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Digits:
    """Takes image files as base64 in JSON: BentoML makes batches of lists, not of plain bodies."""

    def __init__(self) -> None:
        self.recognizer = Recognizer.load(threads=1)

    @bentoml.api(batchable=True, max_batch_size=64)  # type: ignore[untyped-decorator]  # BentoML is not installed here
    def predict(self, images: list[str]) -> list[Answer]:
        """Read the images of all requests that wait."""
        readings = self.recognizer.read_prepared([arrange_one(base64.b64decode(image)) for image in images])
        return [answer_of(reading) for reading in readings]
