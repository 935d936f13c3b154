"""What a request finds of the server, and what it leaves for its log line; all names in `app.state` are these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import HTTPConnection

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.server.collection import Collection
from mnist_cnn.server.reader import Reader
from mnist_cnn.server.schemas import ModelCard
from mnist_cnn.server.settings import Settings


class NotReadyError(MnistCnnError):
    """There is no model loaded: the server starts, or stops."""

    def __init__(self) -> None:
        super().__init__("the server is starting or stopping. Try again in a second.")


def get_settings(request: HTTPConnection) -> Settings:
    """Give the server's settings."""
    settings: Settings = request.app.state.settings
    return settings


def get_reader(request: HTTPConnection) -> Reader:
    """Give what reads images.

    Raises:
        NotReadyError: There is none yet, or none any more.
    """
    reader: Reader = _loaded(request, "reader")
    return reader


def get_model(request: HTTPConnection) -> ModelCard:
    """Give the description of the model that reads.

    Raises:
        NotReadyError: None is loaded.
    """
    card: ModelCard = _loaded(request, "model")
    return card


def get_card(request: HTTPConnection) -> str | None:
    """Give what the model's makers say of it, in Markdown; None where they say nothing."""
    card: str | None = request.app.state.card
    return card


def get_model_name(request: HTTPConnection) -> str:
    """Give the model's name in the Open Inference Protocol.

    Raises:
        NotReadyError: None is loaded.
    """
    return str(_loaded(request, "model_name"))


def get_collection(request: HTTPConnection) -> Collection:
    """Give where labelled pictures are kept; for routes that are there only if the settings name a folder.

    Raises:
        NotReadyError: No model, hence no class, is loaded.
    """
    collection: Collection = _loaded(request, "collection")
    return collection


def get_request_id(request: HTTPConnection) -> str:
    """Give the name of this request (`scope["state"]["request_id"]`, put there by the guards)."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def note_images(request: HTTPConnection, count: int) -> None:
    """Leave the number of images in a request for its log line (`scope["state"]["images"]`)."""
    request.scope.setdefault("state", {})["images"] = count


def hold(request: HTTPConnection, count: int) -> bool:
    """Count further bytes among those that requests hold, until this one ends; say whether there is room for them."""
    room: Callable[[int], bool] | None = request.scope.get("state", {}).get("hold")  # put there by the guards
    return room is None or room(count)


def _loaded(request: HTTPConnection, name: str) -> Any:
    value = getattr(request.app.state, name, None)
    if value is None:
        raise NotReadyError
    return value
