"""A client that asks as fast as it is answered, over many keep-alive connections with one request in flight each.

Raw asyncio on purpose: it shares the cores with the server, and a library's client is slower than what it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

WARM_UP = 1.0  # seconds, not counted
_SIZE = b"content-length:"


@dataclass
class Measured:
    """What came of one stretch of load."""

    seconds: float = 0.0
    latencies: dict[int, list[float]] = field(default_factory=dict)  # seconds, by status
    broken: int = 0  # connections that closed with a request in flight
    without_retry: int = 0  # answers 503 without Retry-After
    cpu: float = 0.0  # seconds of the server's processors

    @property
    def counts(self) -> Counter[int]:
        """How many answers there were of each status."""
        return Counter({status: len(values) for status, values in self.latencies.items()})

    @property
    def rate(self) -> float:
        """Images read in a second."""
        return self.counts[200] / self.seconds


class Load:
    """Many connections to one server, until a time has passed or a number of answers has come."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.port = port
        self.requests = requests  # complete, sent in turn
        self.measured = Measured()
        self.connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._sent = 0
        self._answers_left = -1
        self._ended = asyncio.Event()

    async def run(
        self, connections: int, *, seconds: float = 0.0, answers: int = -1, cpu_seconds: Callable[[], float] = float
    ) -> Measured:
        """Keep that many connections busy.

        Args:
            connections: Their number.
            seconds: Duration, after a warm-up.
            answers: Instead of a duration: stop after this many answers.
            cpu_seconds: Gives the processor time that the server took so far.
        """
        self._answers_left = answers
        self._ended = asyncio.Event()  # belongs to the loop of this run
        for _ in range(connections):
            self.connect()
        if seconds:
            await asyncio.sleep(WARM_UP)
        self.measured = Measured()
        began, cpu = time.perf_counter(), cpu_seconds()
        if seconds:
            await asyncio.sleep(seconds)
        else:
            await self._ended.wait()
        measured, self.measured = self.measured, Measured()
        measured.seconds, measured.cpu = time.perf_counter() - began, cpu_seconds() - cpu
        self._ended.set()
        for each in [*self.connections]:
            each.transport.abort()
        await asyncio.sleep(0)
        return measured

    def connect(self) -> None:
        """Open one more connection, unless the load has ended."""
        if not self._ended.is_set():
            loop = asyncio.get_running_loop()
            task = loop.create_task(loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.port))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def next_request(self) -> bytes:
        """Give the next request."""
        self._sent += 1
        return self.requests[self._sent % len(self.requests)]

    def note(self, status: int, seconds: float, *, told_when: bool) -> None:
        """Count an answer."""
        self.measured.latencies.setdefault(status, []).append(seconds)
        self.measured.without_retry += status == 503 and not told_when
        self._answers_left -= 1
        if self._answers_left == 0:
            self._ended.set()


class _Connection(asyncio.Protocol):
    """One request in flight: the next follows the answer."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.received = bytearray()
        self.expected = 0  # bytes of the answer; 0 while its head is incomplete
        self.status = 0
        self.told_when = False
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self.load.connections.add(self)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.expected:
            self._read_head()
        if self.expected and len(self.received) >= self.expected:
            self.load.note(self.status, time.perf_counter() - self.began, told_when=self.told_when)
            self.received.clear()
            self.expected = 0
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.connections.discard(self)
        self.load.measured.broken += 1
        self.load.connect()

    def _ask(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.load.next_request())

    def _read_head(self) -> None:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.received[:end]).lower()
        self.status = int(head[9:12])
        self.told_when = b"\nretry-after:" in head
        size = head.index(_SIZE) + len(_SIZE)
        self.expected = end + 4 + int(head[size:].partition(b"\r")[0])
