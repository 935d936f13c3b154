"""Hostile clients against a real server: others are served meanwhile, and the server survives."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from server.drawn import drawing, file_of
from server.live import LiveServer

TIMEOUT = 1.0  # seconds, of the server
PATIENCE = 20.0  # seconds, of this test; a busy machine is not a bug
MEMORY = 300 * 2**20  # bytes that the server may take more while it refuses bombs
JSON = {"Content-Type": "application/json"}
HEAD = "POST /predict HTTP/1.1\r\nHost: digits\r\nContent-Type: image/png\r\n"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with little patience; it must still work when all tests are done."""
    with LiveServer(tmp_path_factory.mktemp("abuse"), timeout=TIMEOUT, max_body=2**20, max_pixels=10**6) as live:
        yield live
        _is_served(live)
        assert live.stop() == 0
        assert '"level": "error"' not in live.output
        assert "Traceback" not in live.output


@contextlib.contextmanager
def connected(server: LiveServer) -> Iterator[socket.socket]:
    """A connection to it."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def statuses(answers: bytes) -> list[int]:
    """Return the status of each answer."""
    return [int(line.split()[1]) for line in answers.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def _is_served(server: LiveServer) -> None:
    """Another client gets its answer, soon."""
    answer = httpx.post(f"{server.url}/predict", content=file_of(drawing("7")), timeout=PATIENCE)
    assert answer.json()["predictions"][0]["digit"] == 7


def test_slow_bodies_end_with_408_while_others_are_served(server: LiveServer) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(50)]
        for connection in slow:
            connection.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nx".encode())
        began = time.monotonic()
        while time.monotonic() - began < TIMEOUT / 2:
            for connection in slow:
                connection.sendall(b"x")
            _is_served(server)
        assert [statuses(read_all(connection)) for connection in slow] == [[408]] * 50


def test_clients_that_disconnect_do_no_harm(server: LiveServer) -> None:
    for _ in range(100):
        with connected(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leave with a reset
            connection.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nhalf".encode())
    _is_served(server)


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: digits\r\nX-Long: " + "x" * 2**20,
        "GET / HTTP/1.1\r\nHost: digits\r\n" + "X-Many: x\r\n" * 50_000,
    ],
    ids=["one long", "many"],
)
def test_a_huge_head_is_refused(server: LiveServer, head: str) -> None:
    with connected(server) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(f"{head}\r\n\r\n".encode())
        assert statuses(read_all(connection)) in ([431], [])  # [] where the reset overtook the answer
    _is_served(server)


def test_endless_chunks_end_at_the_limit(server: LiveServer) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with connected(server) as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(chunk)
        assert statuses(read_all(connection)) in ([413], [])  # [] where the reset overtook the answer


def png_bomb(side: int) -> bytes:
    """Return a PNG file of black pixels, a thousand times smaller than they are."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(side // 8 + 1)) for _ in range(side)) + rows.flush()
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b""))
    parts = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_words_bomb() -> bytes:
    """Return a small PNG file with a compressed text of 100 MB."""
    words = b"zTXt" + b"Comment\x00\x00" + zlib.compress(bytes(100 * 2**20), 9)
    file = file_of(drawing("7"))
    return file[:33] + struct.pack(">I", len(words) - 4) + words + struct.pack(">I", zlib.crc32(words)) + file[33:]


def tiff_bomb() -> bytes:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "TIFF", compression="tiff_adobe_deflate")
    return file.getvalue()


BMP_BOMB = b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, 60000, 60000, 1, 1, 0, 0, 1, 1, 0, 0)
GIF_BOMB = b"GIF89a\xff\xff\xff\xff\x80\x00\x00" + bytes(6) + b",\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02L\x01\x00;"
WEBP_BOMB = b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0e\x00\x00\x00/\xff\xff\xff\x0f\x00\x07\x10\x11\xfd\x0f\x44\x44\xff\x03\x00"
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {  # file, and words of the answer
    "PNG": (lambda: png_bomb(50_000), "has 2,500,000,000 pixels"),
    "PNG, just too many pixels": (lambda: png_bomb(1008), "at most 1,000,000 are read"),
    "PNG, words": (png_words_bomb, "this image cannot be read: damaged"),
    "GIF": (lambda: GIF_BOMB, "has 4,294,836,225 pixels"),
    "TIFF": (tiff_bomb, "pixels; at most 1,000,000 are read"),
    "WEBP": (lambda: WEBP_BOMB, "has 268,435,456 pixels"),
    "PPM": (lambda: b"P4 60000 60000\n", "has 3,600,000,000 pixels"),
    "BMP": (lambda: BMP_BOMB, "has 3,600,000,000 pixels"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_unopened(server: LiveServer, name: str) -> None:
    make, words = BOMBS[name]
    before = _memory(server)
    answer = httpx.post(f"{server.url}/predict", content=make(), timeout=PATIENCE)
    assert (answer.status_code, words in answer.text) == (422, True), answer.text
    assert _memory(server) - before < MEMORY
    _is_served(server)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"[" * 100_000, 400, "this is not JSON"),
        (b'{"images": [' + b"[]," * 300_000 + b"[]]}", 413, "the request has 300001 images"),
        (b'{"image": [' + b"1e308," * 100_000 + b"1]}", 422, "shape 100001"),
        (b'{"image": ' + b"9" * 900_000 + b"}", 400, "this is not JSON"),
    ],
    ids=["deep list", "many lists", "many numbers", "one number"],
)
def test_json_that_is_meant_to_be_slow_is_refused_soon(
    server: LiveServer, body: bytes, status: int, words: str
) -> None:
    began = time.monotonic()
    answer = httpx.post(f"{server.url}/predict", content=body, headers=JSON, timeout=PATIENCE)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert len(answer.content) < 1000
    assert time.monotonic() - began < PATIENCE / 4


PATTERNS = {
    "automaton": "[01]*1[01]{30}",
    "nested repetitions": "(1{0,30}){0,30}",
    "nested stars": "((1*2*)*(3*4*)*)*" * 30,
    "deep": "(" * 490 + "1" + ")" * 490,
    "astronomic": "((((1{999}){999}){999}){999}){999}",
    "alternatives": "(0|1|00|11|000)*" * 60,
    "long": "1" * 500_000,
}


@pytest.mark.parametrize("name", PATTERNS)
def test_a_hostile_pattern_is_answered_soon(server: LiveServer, name: str) -> None:
    before, began = _memory(server), time.monotonic()
    files = {"file": ("x", file_of(drawing("7")))}
    answer = httpx.post(f"{server.url}/read", files=files, data={"pattern": PATTERNS[name]}, timeout=PATIENCE)
    assert answer.status_code in (200, 422, 503), answer.text  # 503: after the server's time for an answer
    assert len(answer.content) < 2000
    assert time.monotonic() - began < PATIENCE / 4
    assert _memory(server) - before < MEMORY
    _is_served(server)


def test_numbers_that_take_long_end_in_time_while_others_are_served(server: LiveServer) -> None:
    """The widest pictures under the hardest pattern: far more work than there is time for."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 4000), np.uint8)
    files = [("file", ("x", file_of(noise, "JPEG")))] * 6
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(httpx.post, f"{server.url}/read", files=files, data={"pattern": r"\d*1\d{7}"}, timeout=PATIENCE)
            for _ in range(8)
        ]
        while not all(each.done() for each in asked):
            _is_served(server)
    assert {each.result().status_code for each in asked} <= {200, 503}


def test_a_head_that_does_not_arrive_closes_the_connection(tmp_path: Path) -> None:
    program = (
        "import sys; from mnist_cnn.server import launch; launch._IDLE = 1; from mnist_cnn.cli import main; main()"
    )
    with LiveServer(tmp_path, command=["-c", program]) as server, contextlib.ExitStack() as stack:
        began = time.monotonic()
        for sent in (b"", b"POST /predict HTTP/1.1\r\nHost: digits\r\n", b"GET /health/live HTTP/1.1\r\n\r\n"):
            connection = stack.enter_context(connected(server))
            connection.sendall(sent)
            read_all(connection)
        assert time.monotonic() - began < PATIENCE / 2


def test_idle_connections_keep_no_client_out(server: LiveServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(connected(server))
        _is_served(server)


def _memory(server: LiveServer) -> int:
    process = psutil.Process(server.process.pid)
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
