"""A server to ask: in this process, or a real one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server.live import LiveServer

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from mnist_cnn.reading.recognizer import Recognizer

MakeClient = Callable[..., "TestClient"]
MakeServer = Callable[..., LiveServer]


def _client(settings: dict[str, Any]) -> TestClient:
    from starlette.testclient import TestClient

    from mnist_cnn.server.application import create_app
    from mnist_cnn.server.settings import Settings

    return TestClient(create_app(Settings(**settings)))


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    from mnist_cnn.reading.recognizer import Recognizer

    return Recognizer.load(threads=1)


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    """A client of a server with default settings."""
    with _client({}) as client:
        yield client


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Return a function from settings to a client of a started server; all stop after the test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(_client(settings))


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A real server with default settings."""
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def live_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Return a function from settings to a real server; all stop after the test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(LiveServer(tmp_path, **settings))
