"""Which paths are treated differently. What is not named here is guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

_PROBES = ("/health/", "/v2/health/")
_OPEN = frozenset({"/", "/docs", "/openapi.json", "/favicon.ico"})
_PAGE_FILES = "/page/"


def find_path(scope: Scope) -> str:
    """Give a request's path as the routes see it: without the prefix under which a proxy serves the application."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def is_probe(path: str) -> bool:
    """Say whether an orchestrator asks how the server is: answered however busy it is."""
    return path.startswith(_PROBES) or path == "/metrics"


def is_inference(path: str) -> bool:
    """Say whether a path is the Open Inference Protocol's, which has a form of its own for errors."""
    return path == "/v2" or path.startswith("/v2/")


def is_open(path: str) -> bool:
    """Say whether a path needs no API key: the page and its files, the API's description, and the probes' health."""
    return path in _OPEN or path.startswith((_PAGE_FILES, *_PROBES))
