"""Every request has a name, a line in the log and its place in the metrics; no error of ours leaves without them."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, HTTPConnection

from mnist_cnn.server import counters as metrics
from mnist_cnn.server.guards.refusals import find_header
from mnist_cnn.server.problems import problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from structlog.typing import FilteringBoundLogger

_SAFE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LEFT = 499  # nginx' status for a client that closed the connection before it was answered
_QUIET = ("/health/", "/v2/health/", "/metrics")  # routes that are asked every few seconds
_BUG = "this is a bug of the server's, and is in its log. Report it with the request's id."


class Identity:
    """Names requests, and notes how each ended.

    The name is the client's own `X-Request-ID` where that is at most 64 letters, digits, dots, dashes and underscores,
    else a new one. It lies in `scope["state"]["request_id"]`; the line takes `images` and `bytes` from there too.
    """

    def __init__(self, app: ASGIApp, log: FilteringBoundLogger) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and write its line."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        state: dict[str, Any] = scope.setdefault("state", {})
        name = state["request_id"] = choose_name(scope)
        status, answered = 0, 0.0

        async def answer(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode())]
            await send(message)

        metrics.begin_request()
        try:
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            status = _LEFT
        except Exception as error:
            self.log.error("unexpected error", request_id=name, route=find_route(scope), exc_info=error)
            if not status:  # else the answer ends here, and the server closes the connection
                await problem_response(HTTPConnection(scope), 500, _BUG)(scope, receive, answer)
        finally:
            if state.get("left"):
                status = _LEFT
            self._note(scope, status or _LEFT, (answered or time.perf_counter()) - begun)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route, method, state = find_route(scope), metrics.name_method(scope["method"]), scope["state"]
        metrics.end_request(route, method, status, seconds)
        write = self.log.debug if route.startswith(_QUIET) and status < 400 else self.log.info
        write(
            "request",
            request_id=state["request_id"],
            method=method,
            route=route,
            status=status,
            ms=round(1000 * seconds, 2),
            images=state.get("images", 0),
            bytes=state.get("bytes", 0),
        )


def choose_name(scope: Scope) -> str:
    """Give the client's name for the request if that is safe to repeat, else a new one."""
    given = find_header(scope, b"x-request-id")
    return given.decode("ascii") if given and _SAFE.fullmatch(given) else secrets.token_hex(8)


def find_route(scope: Scope) -> str:
    """Give the template of the route that a request reached, such as /v2/models/{name}; never the path itself."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path or ("other" if "endpoint" in scope else "none")  # FastAPI does not tell its own /openapi.json
