"""What stands between a request and the routes: one small ASGI layer per concern."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from mnist_cnn.server.guards.headers import SecurityHeaders
from mnist_cnn.server.guards.identity import Identity
from mnist_cnn.server.guards.keys import Keys
from mnist_cnn.server.guards.limits import BodiesAndTime, Concurrency
from mnist_cnn.server.logs import make_logger

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mnist_cnn.server.settings import Settings

_BINARY_TENSORS = "Inference-Header-Content-Length"  # of the Open Inference Protocol


def install(app: FastAPI, settings: Settings, open_paths: Collection[str] = ()) -> None:
    """Put all guards before the routes of an application.

    From outside to inside: security headers, which refusals need too; the request's id, log line and counts; CORS, so
    that a page can read why it was refused; the key, which `open_paths` do not need; the number of requests; the body's
    size and the time.
    """
    # Each guard is added around the previous ones.
    app.add_middleware(BodiesAndTime, max_body=settings.max_body, timeout=settings.timeout)
    app.add_middleware(Concurrency)
    if settings.api_key:
        app.add_middleware(Keys, key=settings.api_key, open_paths=open_paths)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "X-API-Key", "X-Request-ID", _BINARY_TENSORS],
            expose_headers=["X-Request-ID", "Retry-After", _BINARY_TENSORS],
        )
    app.add_middleware(Identity, log=make_logger(settings))
    app.add_middleware(SecurityHeaders)
