"""Connections that bring no request, or take no answer: the one danger that an ASGI application does not see."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class PunctualProtocol(HttpToolsProtocol):
    """uvicorn's own, but a request's head must come within some seconds and some bytes; uvicorn knows no end of either.

    For `uvicorn.run(http=PunctualProtocol)`. Without it, a client that sends a byte now and then keeps a connection
    open without an end ("slowloris"), as does one that never reads what it asked for, and one that sends headers or
    requests without an end fills the memory. Between requests, uvicorn's keep-alive time holds.
    """

    head_timeout = 10.0  # s, from the connection or the head's first byte to its end
    head_bytes = 65_536  # of a head, and of anything else that is no body, such as trailers; what one read brings, more
    drain_timeout = 30.0  # s, from an answer that the client does not take, or the connection's close, to its end
    most_ahead = 16  # requests sent before the first is answered; hardly any client sends one
    _head_timer: asyncio.TimerHandle | None = None
    _drain_timer: asyncio.TimerHandle | None = None
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
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self._head_timer is None and self.timeout_keep_alive_task is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._bytes = 0
        self._stop_waiting()
        if len(self.pipeline) >= self.most_ahead:  # of what one read brings; uvicorn reads no more meanwhile
            self.transport.abort()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, whose size is for others to limit."""
        self._bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a body; where its request was refused before, the connection waits for the next one."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._stop_waiting()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """End an answer, and with it perhaps the connection."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_drain()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        super().send_400_response(msg)
        self._await_drain()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for long."""
        super().timeout_keep_alive_handler()
        self._await_drain()

    def pause_writing(self) -> None:
        """Wait until the client has taken more of what was sent."""
        super().pause_writing()
        self._await_drain()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_draining()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._stop_waiting()
        self._stop_draining()
        super().connection_lost(exc)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a client that would rather speak another protocol is no news, and uvicorn's advice is wrong."""

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout, self._close)

    def _refuse_head(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_HEAD_TOO_LONG)
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self._await_drain()

    def _await_drain(self) -> None:
        """Bound the time in which the client takes what was sent: `close` alone waits for that without an end."""
        if self._drain_timer is None:
            self._drain_timer = self.loop.call_later(self.drain_timeout, self.transport.abort)

    def _stop_draining(self) -> None:
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
