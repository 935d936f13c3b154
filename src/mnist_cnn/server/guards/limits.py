"""How much and how long: requests at once, bytes of a body and of all bodies, seconds of a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mnist_cnn.server import counters as metrics
from mnist_cnn.server.guards.refusals import find_header, has_long_body, refuse
from mnist_cnn.server.paths import find_path, is_probe
from mnist_cnn.server.problems import RETRY_SOON

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BREATH = 0.1  # seconds before a refusal for overload: who asks again at once would take the cores from the work
_LENGTH_DIGITS = 18  # of a body's length that is worth being read as a number


class Crowd:
    """Refuses requests while too many are in work, before their bodies are read. Probes always come through."""

    def __init__(self, app: ASGIApp, max_requests: int) -> None:
        self.app = app
        self.max_requests = max_requests
        self.in_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it with 503."""
        if scope["type"] != "http" or is_probe(find_path(scope)):
            await self.app(scope, receive, send)
            return
        if self.in_work >= self.max_requests:
            metrics.count_refusal("overload")
            await asyncio.sleep(_BREATH)
            detail = f"{self.in_work} requests are in work, which is all this server takes at once. Try again in 1 s."
            await refuse(scope, receive, send, 503, detail, RETRY_SOON, unread=has_long_body(scope))
            return
        self.in_work += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_work -= 1


class Room:
    """Memory for the bodies of all requests in work.

    Bytes take it as they come. Were it reserved for a length that a head promises, a few heads without a body would
    keep everybody else out.
    """

    def __init__(self, size: int) -> None:
        self.left = size  # bytes

    def take(self, count: int) -> bool:
        """Take some of it, if there is as much."""
        enough = count <= self.left
        self.left -= count if enough else 0
        return enough


class Bounds:
    """Ends requests whose body is too long or too slow, or whose work takes too long; the work is cancelled."""

    def __init__(self, app: ASGIApp, max_body: int, max_held: int, timeout: float) -> None:
        self.app = app
        self.max_body = max_body  # bytes
        self.timeout = timeout  # s
        self.room = Room(max_held)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or end it with 400, 408, 413 or 503."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = find_header(scope, b"content-length")
        if length is not None and not (length.isdigit() and len(length) <= _LENGTH_DIGITS):
            await refuse(scope, receive, send, 400, "Content-Length is no number of bytes. Correct it.", unread=True)
        elif length is not None and int(length) > self.max_body:
            await self._refuse_length(scope, receive, send, str(int(length)), unread=True)
        elif length is not None and int(length) > self.room.left:
            await self._refuse_held(scope, receive, send, unread=has_long_body(scope))
        else:
            await self._watch(scope, receive, send)

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        timer = asyncio.timeout(self.timeout)
        body = _Body(receive, self.max_body, self.room, timer, scope["state"])
        answering = False

        async def answer(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            async with timer:
                await self.app(scope, body.receive, answer)
        except TimeoutError:
            if not timer.expired():
                raise  # one of the work's own
            if not answering:  # else the answer ends here, and the server closes the connection
                await self._end(scope, receive, send, body)
        finally:
            self.room.left += body.held

    async def _end(self, scope: Scope, receive: Receive, send: Send, body: _Body) -> None:
        if body.too_long:
            await self._refuse_length(scope, receive, send, f"more than {self.max_body}", unread=not body.ended)
        elif body.without_room:
            await self._refuse_held(scope, receive, send, unread=not body.ended)
        elif body.awaited:
            metrics.count_refusal("slow_body")
            detail = f"the body did not come within {self.timeout:g} s. Send it faster, or less at once."
            await refuse(scope, receive, send, 408, detail, unread=True)
        else:
            metrics.count_refusal("timeout")
            detail = f"the answer was not ready within {self.timeout:g} s. Try again in 1 s, or send fewer images."
            await refuse(scope, receive, send, 503, detail, RETRY_SOON, unread=not body.ended and has_long_body(scope))

    async def _refuse_length(self, scope: Scope, receive: Receive, send: Send, size: str, *, unread: bool) -> None:
        metrics.count_refusal("body_size")
        detail = f"the body has {size} bytes; this server takes at most {self.max_body}. Send fewer or smaller images."
        await refuse(scope, receive, send, 413, detail, unread=unread)

    async def _refuse_held(self, scope: Scope, receive: Receive, send: Send, *, unread: bool) -> None:
        metrics.count_refusal("held")
        detail = "the bodies of other requests take all the memory that there is for them. Try again in 1 s."
        await refuse(scope, receive, send, 503, detail, RETRY_SOON, unread=unread)


class _Body:
    """A request's body as it comes in, counted.

    Attributes:
        held: Bytes of it in memory, once more where they were compressed.
        too_long: It has more bytes than are allowed.
        without_room: There was no memory for all of it.
        awaited: The work waits for more of it.
        ended: All of it came.
    """

    def __init__(self, receive: Receive, limit: int, room: Room, timer: asyncio.Timeout, state: dict[str, Any]) -> None:
        self._receive = receive
        self._limit = limit
        self._room = room
        self._timer = timer
        self._state = state
        self.held = 0
        state["hold"] = self.hold
        self.too_long = self.without_room = self.awaited = self.ended = False

    async def receive(self) -> Message:
        """Give the next part.

        What is too much ends the work as a timeout does, since a cancellation passes through all code that turns
        exceptions into answers of its own.
        """
        self.awaited = not self.ended
        message = await self._receive()
        self.awaited = False
        if message["type"] != "http.request":
            self._state["left"] = not self.ended
            return message
        count = len(message.get("body", b""))
        self.ended = not message.get("more_body", False)
        self._state["bytes"] = length = self.held + count
        self.too_long = length > self._limit
        self.without_room = not self.too_long and not self.hold(count)
        if self.too_long or self.without_room:
            loop = asyncio.get_running_loop()
            self._timer.reschedule(loop.time())
            await loop.create_future()  # until cancelled
        return message

    def hold(self, count: int) -> bool:
        """Take room for more bytes, of the body or of what is made of it, if there is as much."""
        enough = self._room.take(count)
        self.held += count if enough else 0
        return enough
