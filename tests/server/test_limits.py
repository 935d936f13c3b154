"""Too many requests, too many bytes, too long a time: refused early, in good order, and never with another 5xx."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Any

import pytest
from fastapi import FastAPI
from mnist_cnn.server.guards.connections import PunctualProtocol

from mnist_cnn.server import counters as metrics
from mnist_cnn.server.guards.limits import Bounds, Crowd, Room
from server.guarded import LARGE, Answer, ask, make_app, send, serving

KIB = b"x" * 1024


class Impatient(PunctualProtocol):
    """As the real one, for a test's patience."""

    head_timeout = 0.5
    drain_timeout = 0.5


def test_a_body_within_the_limit_passes() -> None:
    answer = send(make_app(max_body=2048), "POST", "/echo", body=[KIB, KIB, b""])
    assert (answer.status, answer.json()) == (200, {"bytes": 2048})


def test_a_length_above_the_limit_is_refused_before_a_byte_is_read() -> None:
    answer = send(make_app(max_body=2048), "POST", "/echo", headers={"Content-Length": "2049"}, body=[b""])
    assert answer.status == 413
    assert answer.complete
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "2049 bytes; this server takes at most 2048" in answer.json()["detail"]


def _app_with_room(**settings: Any) -> tuple[FastAPI, Room]:
    """Give an application, and the room of its bodies."""
    app = make_app(**settings)
    layer: Any = app.build_middleware_stack()
    app.middleware_stack = layer
    while not isinstance(layer, Bounds):
        layer = layer.app
    return app, layer.room


@pytest.mark.parametrize("headers", [{"Content-Length": "2048"}, {"Transfer-Encoding": "chunked"}])
def test_all_bodies_together_have_a_bound(headers: dict[str, str]) -> None:
    app, room = _app_with_room(max_body=2048, max_held=3072, timeout=0.5)

    async def crowd() -> tuple[Answer, Answer, Answer]:
        slow = asyncio.create_task(ask(app, "POST", "/echo", body=[KIB, KIB, None], headers=headers))
        await asyncio.sleep(0.05)
        refused = await ask(app, "POST", "/echo", body=[KIB, KIB], headers=headers)
        small = await ask(app, "POST", "/echo", body=[b"x", b""])
        await slow
        return refused, small, await ask(app, "POST", "/echo", body=[KIB, KIB, b""], headers=headers)

    refused, small, after = asyncio.run(crowd())
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "all the memory" in refused.json()["detail"]
    assert small.status == 200
    assert after.status == 200
    assert room.left == 3072


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/echo", [KIB, b""]),
        ("/echo", [KIB]),  # left in the middle
        ("/echo", [KIB] * 3),  # too long
        ("/echo", [KIB, None]),  # too slow
        ("/none", [KIB, b""]),
    ],
)
def test_however_a_request_ends_its_room_is_given_back(path: str, parts: list[bytes | None]) -> None:
    app, room = _app_with_room(max_body=2048, max_held=3072, timeout=0.05)
    send(app, "POST", path, body=parts)
    assert room.left == 3072


def test_a_length_without_a_body_takes_no_room() -> None:
    """Else a few heads would keep everybody out."""
    app, _ = _app_with_room(max_body=2048, max_held=2048, timeout=0.5)

    async def crowd() -> Answer:
        heads = [asyncio.create_task(ask(app, "POST", "/echo", [None], {"Content-Length": "2048"})) for _ in range(9)]
        await asyncio.sleep(0.05)
        answer = await ask(app, "POST", "/echo", body=[KIB, b""])
        await asyncio.gather(*heads)
        return answer

    assert asyncio.run(crowd()).status == 200


@pytest.mark.parametrize("path", ["/echo", "/swallow"])
def test_bytes_without_a_length_are_counted_as_they_come(path: str) -> None:
    parts = [KIB] * 1000
    answer = send(make_app(max_body=2048), "POST", path, body=parts, headers={"Transfer-Encoding": "chunked"})
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("length", ["-1", "1e3", "12, 12", "9" * 400, "²"])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    answer = send(make_app(), "POST", "/echo", headers={"Content-Length": length})
    assert answer.status == 400


def test_a_body_that_stops_coming_ends_with_408() -> None:
    answer = send(make_app(timeout=0.05), "POST", "/echo", body=[b"a", None])
    assert answer.status == 408
    assert "within 0.05 s" in answer.json()["detail"]
    assert answer.headers["connection"] == "close"


def test_work_that_takes_too_long_is_cancelled_and_ends_with_503() -> None:
    app = make_app(timeout=0.05)
    answer = send(app, "GET", "/slow")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert app.state.cancelled == 1


def test_a_client_that_leaves_while_it_sends_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    answer = send(make_app(), "POST", "/echo", body=[b"half"])
    out = capsys.readouterr().out
    assert answer.status in (0, 499)
    assert '"status":499' in out
    assert "unexpected" not in out


def test_too_many_requests_at_once_are_refused_and_probes_are_not() -> None:
    app = make_app(max_requests=2, timeout=0.3)

    async def crowd() -> tuple[Answer, Answer, Answer]:
        busy = [asyncio.create_task(ask(app, "GET", "/slow")) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused = await ask(app, "POST", "/echo", body=[None])  # a body that never comes is not waited for
        probe = await ask(app, "GET", "/health/live")
        await asyncio.gather(*busy)
        return refused, probe, await ask(app, "POST", "/echo")

    before = _refusals("overload")
    refused, probe, after = asyncio.run(crowd())
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "2 requests are in work" in refused.json()["detail"]
    assert probe.status == 200
    assert after.status == 200  # it recovers
    assert _refusals("overload") == before + 1


def test_whoever_fails_is_no_longer_in_work() -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError

    crowd = Crowd(fail, max_requests=1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            asyncio.run(crowd({"type": "http", "path": "/echo", "headers": []}, None, None))  # type: ignore[arg-type]
    assert crowd.in_work == 0


def test_a_client_that_sends_first_and_reads_later_still_gets_the_413() -> None:
    """A socket closed with data in it makes the system send a reset, which can take the answer with it."""
    with serving(make_app(max_body=1024)) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
        client.sendall(b"x" * 5_000_000)  # blocks for ever, or breaks, where nobody takes it
        answer = _read_to_the_end(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"}")


def test_a_client_that_asks_before_it_sends_is_told_at_once() -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n"
    with serving(make_app(max_body=1024)) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(head)
        begun = time.monotonic()
        answer = _read_to_the_end(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - begun < 0.5


def test_a_body_without_an_end_is_cut_off() -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(make_app(max_body=1024)) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(head)
        begun = time.monotonic()
        with contextlib.suppress(OSError):  # a broken pipe or a reset, as it happens
            while time.monotonic() - begun < 10:
                client.sendall(b"400\r\n" + KIB + b"\r\n")
    assert time.monotonic() - begun < 5


def test_a_refused_short_body_leaves_the_connection_open() -> None:
    request = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1024\r\n\r\n" + KIB
    app = make_app(api_key="k" * 16)
    with serving(app) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        for _ in range(3):
            client.sendall(request)
            assert client.recv(4096).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"POST /echo HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_without_a_request_is_closed(sent: bytes) -> None:
    with serving(make_app(), http=Impatient) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        begun = time.monotonic()
        client.sendall(sent)
        assert client.recv(1) == b""
        assert 0.4 < time.monotonic() - begun < 3


def test_a_connection_with_requests_stays() -> None:
    request = b"GET /things/a HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(make_app(), http=Impatient) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        for _ in range(4):
            client.sendall(request[:20])
            time.sleep(0.2)
            client.sendall(request[20:])
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_refused_body_that_comes_late_leaves_the_connection_open() -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1024\r\n\r\n"
    app = make_app(api_key="k" * 16)
    with serving(app, http=Impatient) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(head)
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")
        client.sendall(KIB[:500])
        time.sleep(0.1)
        client.sendall(KIB[500:])
        time.sleep(0.8)  # longer than a head may take, shorter than an idle connection lives
        client.sendall(head)
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("lines", [b"", b"Connection: close\r\n"])
def test_a_client_that_takes_no_answer_is_cut_off(lines: bytes) -> None:
    request = b"GET /large HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n"
    with serving(make_app(), http=Impatient) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(request)
        time.sleep(1.5)
        assert len(_read_to_the_end(client)) < LARGE


@pytest.mark.parametrize("lines", [b"", b"Connection: close\r\n"])
def test_a_client_that_takes_its_time_gets_all(lines: bytes) -> None:
    request = b"GET /large HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n"
    with serving(make_app(), http=Impatient) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(request)
        time.sleep(0.2)
        taken = 0
        while taken < LARGE:
            taken += len(client.recv(LARGE))


def test_requests_sent_ahead_are_answered_up_to_a_number() -> None:
    request = b"GET /things/a HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /things/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with serving(make_app(), http=Impatient) as port:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(request * 15 + last)
            assert _read_to_the_end(client).count(b"HTTP/1.1 200 ") == 16
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(request * 1000 + last)
            with contextlib.suppress(ConnectionResetError):
                assert _read_to_the_end(client).count(b"HTTP/1.1 200 ") <= 16


def _read_to_the_end(client: socket.socket) -> bytes:
    parts = iter(lambda: client.recv(65536), b"")
    return b"".join(parts)


def _refusals(cause: str) -> float:
    name = f'mnist_cnn_refusals_total{{cause="{cause}"}} '
    lines = metrics.render().decode().splitlines()
    return float(next((line.removeprefix(name) for line in lines if line.startswith(name)), 0))
