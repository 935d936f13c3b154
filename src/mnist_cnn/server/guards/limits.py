"""How many requests at once, how large their bodies are, and how long each may take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from mnist_cnn.server import counters
from mnist_cnn.server.guards.refusals import find_header, refuse
from mnist_cnn.server.paths import find_path, is_probe
from mnist_cnn.server.problems import RETRY_SOON

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Refusal: TypeAlias = tuple[int, str, dict[str, str]]  # status, detail, headers

MAX_REQUESTS = 256  # at once
MAX_HELD = 128 * 2**20  # bytes of all bodies in memory, or the largest body, if that is more

_BREATH = 0.1  # seconds before a refusal: clients that ask again at once would take the cores from the work


class Concurrency:
    """Refuses requests before their bodies are read while too many are in progress. Probes are always answered."""

    def __init__(self, app: ASGIApp, max_requests: int = MAX_REQUESTS) -> None:
        self.app = app
        self.max_requests = max_requests
        self.in_progress = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it with 503."""
        if scope["type"] != "http" or is_probe(find_path(scope)):
            await self.app(scope, receive, send)
            return
        if self.in_progress >= self.max_requests:
            counters.count_refusal("overload")
            await asyncio.sleep(_BREATH)
            detail = f"the server is busy with {self.in_progress} requests, its limit. Try again in 1 s."
            await refuse(scope, receive, send, 503, detail, RETRY_SOON)
            return
        self.in_progress += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_progress -= 1


class BodiesAndTime:
    """Ends requests whose body is too large or too slow, or whose work takes too long; the work is cancelled."""

    def __init__(self, app: ASGIApp, max_body: int, timeout: float, max_held: int = MAX_HELD) -> None:
        self.app = app
        self.max_body = max_body  # bytes
        self.timeout = timeout  # seconds
        self.room = max(max_held, max_body)  # bytes that are left for bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or end it with 408, 413 or 503."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        timer = asyncio.timeout(self.timeout)
        body, answering = _Body(scope, receive, self, timer), False

        async def answer(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            refusal = body.check_length()
            if refusal is None:
                async with timer:
                    await self.app(scope, body.receive, answer)
            else:
                await refuse(scope, receive, send, *refusal)
        except TimeoutError:
            if not timer.expired():
                raise  # one of the work's own
            if not answering:  # otherwise the answer ends here, and the server closes the connection
                await refuse(scope, receive, send, *(body.refusal or self._too_slow(body)))
        finally:
            self.room += body.held
            del scope["state"]["hold"]  # a cycle would keep the connection open until garbage is collected

    def _too_slow(self, body: _Body) -> Refusal:
        if body.awaited:
            counters.count_refusal("slow_body")
            detail = f"the body did not arrive within {self.timeout:g} s. Send it faster, or send less at once."
            return 408, detail, {"Connection": "close"}
        counters.count_refusal("timeout")
        detail = f"the answer was not ready within {self.timeout:g} s. Try again in 1 s, or send fewer images."
        return 503, detail, RETRY_SOON


class _Body:
    """The body of a request, counted while it comes in.

    Memory is taken as bytes arrive: if it were reserved for the length that a head promises, a few heads without a
    body would keep all other clients out.

    Attributes:
        held: Bytes in memory, of the body and of what it was decompressed to.
        awaited: Whether the work is waiting for its next part.
        refusal: Why it was not read to its end.
    """

    def __init__(self, scope: Scope, receive: Receive, limits: BodiesAndTime, timer: asyncio.Timeout) -> None:
        self._scope = scope
        self._receive = receive
        self._limits = limits
        self._timer = timer
        self._state: dict[str, Any] = scope["state"]
        self._state["hold"] = self.hold
        self.held = 0
        self.awaited = False
        self.refusal: Refusal | None = None

    def check_length(self) -> Refusal | None:
        """Return the reason to refuse a body whose declared length is too large; None if it is not."""
        given = find_header(self._scope, b"content-length") or b""
        length = int(given) if given.isdigit() else 0
        if length > self._limits.max_body:
            return self._too_large(str(length))
        return self._no_room() if length > self._limits.room else None

    async def receive(self) -> Message:
        """Return the next part.

        A body that is refused ends the work as a timeout does, because a cancellation passes through all code that
        turns exceptions into answers of its own.
        """
        self.awaited = True
        message = await self._receive()
        self.awaited = False
        if message["type"] == "http.request":
            count = len(message.get("body", b""))
            self._state["bytes"] = length = self._state.get("bytes", 0) + count
            if length > self._limits.max_body:
                self.refusal = self._too_large(f"more than {self._limits.max_body}")
            elif not self.hold(count):
                self.refusal = self._no_room()
            if self.refusal:
                loop = asyncio.get_running_loop()
                self._timer.reschedule(loop.time())
                await loop.create_future()  # until cancelled
        return message

    def hold(self, count: int) -> bool:
        """Reserve memory for more bytes; return whether there was enough."""
        enough = count <= self._limits.room
        self._limits.room -= count if enough else 0
        self.held += count if enough else 0
        return enough

    def _too_large(self, size: str) -> Refusal:
        counters.count_refusal("body_size")
        detail = f"the body has {size} bytes; the limit is {self._limits.max_body}. Send fewer or smaller images."
        return 413, detail, {"Connection": "close"}

    def _no_room(self) -> Refusal:
        counters.count_refusal("held")
        return 503, "other requests use all memory for bodies. Try again in 1 s.", RETRY_SOON
