"""Connections that bring no request: the one danger that an ASGI application does not see."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class PunctualProtocol(HttpToolsProtocol):
    """uvicorn's own, but a request's head must come within some seconds and some bytes; uvicorn knows no end of either.

    For `uvicorn.run(http=PunctualProtocol)`. Without it, a client that sends a byte now and then keeps a connection
    open without an end ("slowloris"), and one that sends headers without an end fills the memory. Between requests,
    uvicorn's keep-alive time holds.
    """

    head_timeout = 10.0  # s, from the connection or the head's first byte to its end
    head_bytes = 65_536  # of a head, and of anything else that is no body, such as trailers; what one read brings, more
    _head_timer: asyncio.TimerHandle | None = None
    _bytes = 0  # since the last head's end or the last part of a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take data; where a head has begun but not ended, wait for its end."""
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > self.head_bytes:
            self._refuse_head()
            return
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, whose size is for others to limit."""
        self._bytes = 0
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout, self.transport.close)

    def _refuse_head(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_HEAD_TOO_LONG)
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
