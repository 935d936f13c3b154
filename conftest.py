"""Collects the code blocks of the documentation as tests; `tests/documentation/blocks.py` says what happens to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sybil.integration.pytest import SybilItem

from documentation.blocks import PAGES
from documentation.page import SECONDS, Page

pytest_collect_file = PAGES.pytest()


@pytest.hookimpl(tryfirst=True)  # before pytest drops what is slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Blocks are slow: they train, serve and start many processes."""
    for item in items:
        if isinstance(item, SybilItem):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(SECONDS + 60))


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The folder in which the blocks of one page run."""
    page = Page(request.path, tmp_path_factory.mktemp(request.path.stem))
    yield page
    page.close()
