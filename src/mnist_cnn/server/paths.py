"""The paths that guards treat differently. All others are guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

_PROBES = ("/health/", "/v2/health/")


def find_path(scope: Scope) -> str:
    """Return a request's path without the prefix under which a proxy serves the application."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def is_probe(path: str) -> bool:
    """Return whether a path is for monitoring: it is answered even when the server is busy."""
    return path.startswith(_PROBES) or path == "/metrics"


def is_inference(path: str) -> bool:
    """Return whether a path belongs to the Open Inference Protocol, whose errors have another form."""
    return path == "/v2" or path.startswith("/v2/")
