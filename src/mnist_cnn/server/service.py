"""What routes find of the server, and what they leave for the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.server.collection import Collection
from mnist_cnn.server.model_facts import ModelFacts
from mnist_cnn.server.reader import Reader
from mnist_cnn.server.settings import Settings


class NotReadyError(MnistCnnError):
    """No model is loaded: the server is starting or stopping."""

    def __init__(self) -> None:
        super().__init__("the server is starting or stopping. Try again in a second.")


@dataclass(frozen=True)
class Service:
    """What is there while the model is loaded, in `app.state.service`."""

    reader: Reader
    facts: ModelFacts
    card: str | None  # Markdown
    model_name: str  # in the Open Inference Protocol
    collection: Collection | None  # None unless the settings name a folder


def get_service(request: HTTPConnection) -> Service:
    """Return the loaded model and what belongs to it.

    Raises:
        NotReadyError: No model is loaded.
    """
    service: Service | None = getattr(request.app.state, "service", None)
    if service is None:
        raise NotReadyError
    return service


def get_settings(request: HTTPConnection) -> Settings:
    """Return the server's settings."""
    settings: Settings = request.app.state.settings
    return settings


def note_images(request: HTTPConnection, count: int) -> None:
    """Leave the number of images in a request for its log line."""
    request.scope.setdefault("state", {})["images"] = count


def hold(request: HTTPConnection, count: int) -> bool:
    """Reserve memory for more bytes until the request ends; return whether there was enough."""
    take: Callable[[int], bool] | None = request.scope.get("state", {}).get("hold")  # set by the guards
    return take is None or take(count)
