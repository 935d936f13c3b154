"""The model that a server reads with, described."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mnist_cnn.reading.recognizer import Recognizer, read_model_file
from mnist_cnn.server.schemas import Limits, ModelCard
from mnist_cnn.server.settings import Settings

_CARD = "README.md"  # in a run's folder
_EXPORTS = "exports"
_SHIPPED_CARD = Path(__file__).parents[1] / "reading" / "weights" / _CARD
_LONGEST_CARD = 2**20  # bytes


def describe(recognizer: Recognizer, settings: Settings) -> ModelCard:
    """Say what the model is, and what a request may ask of it.

    Raises:
        InputError: Its file went away.
    """
    data, _ = read_model_file(settings.model)
    metadata = recognizer.metadata
    return ModelCard(
        name="mnist-cnn",
        shipped=settings.model is None,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        classes=list(metadata.class_names),
        threshold=recognizer.threshold,
        temperature=metadata.temperature,
        architecture=metadata.architecture,
        dataset=metadata.dataset,
        accuracy=metadata.accuracy,
        preprocessing=metadata.preprocessing,
        package_version=metadata.package_version,
        collecting=settings.collect is not None,
        limits=Limits(
            body=settings.max_body, pixels=settings.max_pixels, images=settings.max_images, seconds=settings.timeout
        ),
    )


def read_card(model: Path | None) -> str | None:
    """Give the card of a model, Markdown: of the one that ships, or of a run; None where there is none to be read."""
    path = _SHIPPED_CARD if model is None else _run_of(model) / _CARD
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_CARD).decode(errors="replace")
    except OSError:
        return None


def _run_of(model: Path) -> Path:
    """Give the folder of a model that is named by it, or as `exports/model.onnx` in it; of another, the file itself."""
    folder = model.absolute().parent
    return folder.parent if folder.name == _EXPORTS else model
