"""What stands between a request and the routes: one small ASGI layer per concern, each of a microsecond or a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from mnist_cnn.server.guards.headers import SecurityHeaders
from mnist_cnn.server.guards.identity import Identity
from mnist_cnn.server.guards.keys import Keys
from mnist_cnn.server.guards.limits import Bounds, Crowd
from mnist_cnn.server.guards.methods import Heads
from mnist_cnn.server.logs import make_logger

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mnist_cnn.server.settings import Settings

_BINARY_TENSORS = "Inference-Header-Content-Length"  # of the Open Inference Protocol


def install(app: FastAPI, settings: Settings) -> None:
    """Put all guards before an application's routes.

    From outside to inside: security headers, which refusals and bugs need too; the request's name, its line in the log
    and the metrics; HEAD; CORS, so that a page may read why it was refused; the key; how many requests at once, of
    which who has no key takes none; the body's size and the time.
    """
    # Each goes around those before.
    app.add_middleware(Bounds, max_body=settings.max_body, max_held=settings.max_held, timeout=settings.timeout)
    app.add_middleware(Crowd, max_requests=settings.max_requests)
    if settings.api_key:
        app.add_middleware(Keys, key=settings.api_key)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "X-API-Key", "X-Request-ID", _BINARY_TENSORS],
            expose_headers=["X-Request-ID", "Retry-After", _BINARY_TENSORS],
        )
    app.add_middleware(Heads)
    app.add_middleware(Identity, log=make_logger(settings))
    app.add_middleware(SecurityHeaders)
