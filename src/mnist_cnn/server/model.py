"""The model that a server reads with, described."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mnist_cnn.recognizer import Recognizer, read_model_file
from mnist_cnn.server.schemas import Limits, ModelCard
from mnist_cnn.server.settings import Settings

_SHIPPED_CARD = Path(__file__).parents[1] / "weights" / "README.md"


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


def shipped_card() -> str:
    """Give the card of the model that ships, Markdown."""
    return _SHIPPED_CARD.read_text(encoding="utf-8")
