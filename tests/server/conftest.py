"""A server to ask: in this process, or a real one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mnist_cnn.server.application import create_app
from mnist_cnn.server.settings import Settings
from server.live import LiveServer

MakeClient = Callable[..., TestClient]
MakeServer = Callable[..., LiveServer]


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Give a function from settings to a client of a server with these, started; all stop after the test."""
    with ExitStack() as stack:

        def make(**settings: Any) -> TestClient:
            return stack.enter_context(TestClient(create_app(Settings(**settings))))

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """Give a client of a server with the settings as they come."""
    return make_client()


@pytest.fixture
def live_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Give a function from settings to a real server with these, on a free port; all stop after the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> LiveServer:
            return stack.enter_context(LiveServer(Settings(port=0, **settings), tmp_path))

        yield start
