"""Every request gets an id, a line in the log and its place in the metrics; errors of ours are answered with 500."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, HTTPConnection

from mnist_cnn.server import counters
from mnist_cnn.server.guards.refusals import find_header
from mnist_cnn.server.problems import problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from structlog.typing import FilteringBoundLogger

_SAFE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LEFT = 499  # nginx' status for a client that closed the connection before it was answered
_QUIET = ("/health/", "/v2/health/", "/metrics")  # routes that are asked every few seconds
_BUG = "this is a bug of the server, and its log has the details. Report it with the request id."


class Identity:
    """Assigns ids to requests, and records how each one ended.

    The id is the client's own `X-Request-ID` if it has at most 64 letters, digits, dots, dashes and underscores,
    otherwise a new one. It is in `scope["state"]["request_id"]`; `images` and `bytes` for the log come from there too.
    """

    def __init__(self, app: ASGIApp, log: FilteringBoundLogger) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and log it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        method = counters.name_method(scope["method"])
        if method == "HEAD":  # what monitors send; the server leaves out the body, since its own scope still says HEAD
            scope = {**scope, "method": "GET"}
        state: dict[str, Any] = scope.setdefault("state", {})
        request_id = state["request_id"] = choose_id(scope)
        status, answered = 0, 0.0

        async def answer(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        counters.begin_request()
        try:
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            status = _LEFT
        except Exception as error:
            self.log.error("unexpected error", request_id=request_id, route=find_route(scope), exc_info=error)
            if not status:  # otherwise the answer ends here, and the server closes the connection
                await problem_response(HTTPConnection(scope), 500, _BUG)(scope, receive, answer)
        finally:
            self._note(scope, method, status or _LEFT, (answered or time.perf_counter()) - begun)

    def _note(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route, state = find_route(scope), scope["state"]
        counters.end_request(route, method, status, seconds)
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


def choose_id(scope: Scope) -> str:
    """Return the client's own id for the request if it is safe to repeat, otherwise a new one."""
    given = find_header(scope, b"x-request-id")
    return given.decode("ascii") if given and _SAFE.fullmatch(given) else secrets.token_hex(8)


def find_route(scope: Scope) -> str:
    """Return the template of the route that was found, such as /v2/models/{name}; never the path itself."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path or ("other" if "endpoint" in scope else "none")  # the page's files, /openapi.json
