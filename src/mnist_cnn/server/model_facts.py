"""The model of a server, described."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, Field

from mnist_cnn.files import CARD_NAME, EXPORTS_NAME
from mnist_cnn.reading.numbers import NumberReader
from mnist_cnn.reading.numbers.number_reader import SHIPPED_WEIGHTS as NUMBER_WEIGHTS
from mnist_cnn.reading.recognizer import SHIPPED_WEIGHTS, Recognizer, read_model_file
from mnist_cnn.server.settings import Settings


class ModelSummary(BaseModel):
    """The model that read an image."""

    architecture: str
    sha256: str = Field(description="Digest of the model file.")
    threshold: float = Field(ge=0, le=1, description="Minimum confidence of what is accepted.")


class RequestLimits(BaseModel):
    """The limits of one request."""

    body: int = Field(description="Bytes.")
    pixels: int = Field(description="Pixels of one image.")
    images: int
    seconds: float = Field(description="Time from its first byte to its answer.")


class ModelFacts(ModelSummary):
    """The model of this server, and the limits of a request."""

    name: str
    shipped: bool = Field(description="Whether it is included in the package.")
    bytes: int = Field(description="Size of the model file.")
    classes: list[str] = Field(description="Class names, by index.")
    temperature: float = Field(gt=0, description="Calibration: softmax(log(probabilities) / temperature).")
    dataset: str = Field(description="Training data.")
    accuracy: float | None = Field(ge=0, le=1, description="Accuracy on the test images of that data; null: unknown.")
    preprocessing: str = Field(description="Version of the image preparation that the threshold was chosen with.")
    package_version: str = Field(description="Version of mnist-cnn that wrote the file.")
    numbers: ModelSummary = Field(description="The model that reads whole numbers.")
    collecting: bool = Field(description="Whether this server keeps labelled digits (POST /collect).")
    limits: RequestLimits

    @property
    def summary(self) -> ModelSummary:
        """The part that every prediction repeats."""
        return ModelSummary(architecture=self.architecture, sha256=self.sha256, threshold=self.threshold)


def describe(recognizer: Recognizer, numbers: NumberReader, settings: Settings) -> ModelFacts:
    """Describe the models, and what a request may contain.

    Raises:
        InputError: A model file was removed.
    """
    data, _ = read_model_file(settings.model)
    number_data, _ = read_model_file(settings.number_model, NUMBER_WEIGHTS)
    metadata = recognizer.metadata
    return ModelFacts(
        name="mnist-cnn",
        shipped=settings.model is None,
        sha256=_digest(data),
        bytes=len(data),
        classes=list(metadata.class_names),
        threshold=recognizer.threshold,
        temperature=metadata.temperature,
        architecture=metadata.architecture,
        dataset=metadata.dataset,
        accuracy=metadata.accuracy,
        preprocessing=metadata.preprocessing,
        package_version=metadata.package_version,
        numbers=ModelSummary(
            architecture=numbers.metadata.architecture, sha256=_digest(number_data), threshold=numbers.threshold
        ),
        collecting=settings.collect is not None,
        limits=RequestLimits(
            body=settings.max_body, pixels=settings.max_pixels, images=settings.max_images, seconds=settings.timeout
        ),
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def name_model(path: Path | None) -> str:
    """Name a model for the Open Inference Protocol: after the run that it was exported from, or else after its file.

    Args:
        path: As in the settings; None for the bundled weights.
    """
    if path is None:
        return SHIPPED_WEIGHTS.stem
    if path.is_dir():
        return path.absolute().name
    run = _run_of(path)
    return run.name if run.name and run != path else path.stem


def read_card(model: Path | None) -> str | None:
    """Return the Markdown card of the included weights or of a run; None if there is none."""
    folder = SHIPPED_WEIGHTS.parent if model is None else _run_of(model)
    try:
        return (folder / CARD_NAME).read_text("utf-8", errors="replace")
    except OSError:
        return None


def _run_of(model: Path) -> Path:
    """Return the run folder of `RUN/exports/model.onnx`; any other path as it is."""
    folder = model.absolute().parent
    return folder.parent if folder.name == EXPORTS_NAME and not model.is_dir() else model
