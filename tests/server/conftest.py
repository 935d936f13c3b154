"""A server to ask, in this process or a real one of its own, and a browser on its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server.live import LiveServer
from server.windows import SCREEN

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext
    from starlette.testclient import TestClient

    from mnist_cnn.reading.recognizer import Recognizer
    from server.browser import Desk

MakeClient = Callable[..., "TestClient"]
MakeServer = Callable[..., LiveServer]
OpenDesk = Callable[..., "Desk"]


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="THE PAGE WAS NOT TESTED: there is no playwright")
    from server.browser import launch

    with sync_api.sync_playwright() as playwright:  # ends with the module: its event loop would be in others' way
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def collecting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a server that collects, and its folder."""
    folder = tmp_path_factory.mktemp("collecting")
    with LiveServer(folder, collect=folder / "kept") as server:
        yield server.url, folder / "kept"


@pytest.fixture(scope="module")
def shared_context(browser: Browser) -> Iterator[BrowserContext]:
    """What the tabs of most tests share: a cache. None of these tests may leave anything else in it."""
    with browser.new_context(**SCREEN) as context:
        yield context
        assert context.storage_state() == {"cookies": [], "origins": []}


@pytest.fixture
def open_desk(browser: Browser, shared_context: BrowserContext, shared_server: LiveServer) -> Iterator[OpenDesk]:
    """Return a function from a server's address to the opened page; options for a browser context open a new one."""
    from server.browser import Desk

    desks: list[Desk] = []

    def open_(url: str = shared_server.url, **options: Any) -> Desk:
        context = browser.new_context(**(SCREEN | options)) if options else shared_context
        desks.append(Desk.open(context, url))
        return desks[-1]

    yield open_
    for desk in desks:
        desk.check()
        desk.page.close()
        if desk.page.context is not shared_context:
            desk.page.context.close()


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    return open_desk()
