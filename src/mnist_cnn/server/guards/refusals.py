"""Refusing a request without having read it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from mnist_cnn.server.problems import problem_response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_LINGER = 1.0  # seconds


def find_header(scope: Scope, name: bytes) -> bytes | None:
    """Return a header's value; `name` in lower case, as servers give them."""
    return next((bytes(value) for key, value in scope["headers"] if key == name), None)


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> None:
    """Answer a request with a problem, before its body was read.

    Args:
        scope: Of the request, with `receive` and `send`.
        receive: As the server gave it.
        send: Where the answer goes.
        status: HTTP status, 4xx or 503.
        detail: One line: the bad value, what would be valid, the next step.
        headers: Further headers of the answer.
    """
    await _discard_body(scope, receive)
    await problem_response(HTTPConnection(scope), status, detail, headers)(scope, receive, send)


async def _discard_body(scope: Scope, receive: Receive) -> None:
    """Read and discard the rest of a body, for a second at most.

    Data that arrives at a closed socket makes the system send a reset, and some clients then drop the answer (RFC 9112,
    section 9.6). A client that sent `Expect: 100-continue` is still waiting, so there is nothing to discard.
    """
    if find_header(scope, b"expect") is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while (await receive()).get("more_body"):
                    pass
