"""Refusing a request without having read it, and leaving its connection in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from mnist_cnn.server.problems import problem_response

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

_SHORT = 64 * 1024  # bytes; a body that has most likely arrived with its head, and costs nothing to throw away
_LINGER = 1.0  # s


def find_header(scope: Scope, name: bytes) -> bytes | None:
    """Give a header's value; `name` is in lower case, as servers give them."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def has_long_body(scope: Scope) -> bool:
    """Say whether a body follows the head that is not known to be short."""
    length = find_header(scope, b"content-length")
    if length is None:
        return find_header(scope, b"transfer-encoding") is not None
    return not length.isdigit() or int(length[:20]) > _SHORT


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    unread: bool,
) -> None:
    """Answer with a problem.

    Where much of the body is unread, the connection is closed after the answer, but not at once: data that arrives at
    a closed socket makes the system send a reset, upon which some clients drop the answer. So what still comes is
    thrown away for a second (RFC 9112, section 9.6). A short body is left to the server, which skips it and keeps the
    connection.

    Args:
        scope: Of the request, with `receive` and `send`.
        receive: As the server gave it.
        send: Where the answer goes.
        status: HTTP status, 4xx or 503.
        detail: One line: the bad value, what would be valid, the next step.
        headers: Further ones of the answer.
        unread: Whether more of the body may come than is worth skipping.
    """
    response = problem_response(HTTPConnection(scope), status, detail, headers)
    if not unread or not scope["http_version"].startswith("1"):
        await response(scope, receive, send)
        return
    response.headers["Connection"] = "close"

    async def send_all_but_the_end(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await response(scope, receive, send_all_but_the_end)
    if find_header(scope, b"expect") is None:  # who waits to be told to go on sends nothing
        await _discard(receive)
    await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while (await receive()).get("more_body"):
                pass
