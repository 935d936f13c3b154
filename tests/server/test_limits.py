"""Too many requests, too many bytes, too long a time: refused early, in good order, and never with another 5xx."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

from mnist_cnn.server import metrics
from mnist_cnn.server.guards.connections import PunctualProtocol
from mnist_cnn.server.guards.limits import Crowd
from server.guarded import Answer, ask, make_app, send, serving

KIB = b"x" * 1024


class Impatient(PunctualProtocol):
    """As the real one, for a test's patience."""

    head_timeout = 0.5


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


def _read_to_the_end(client: socket.socket) -> bytes:
    parts = iter(lambda: client.recv(65536), b"")
    return b"".join(parts)


def _refusals(cause: str) -> float:
    name = f'mnist_cnn_refusals_total{{cause="{cause}"}} '
    lines = metrics.render().decode().splitlines()
    return float(next((line.removeprefix(name) for line in lines if line.startswith(name)), 0))
