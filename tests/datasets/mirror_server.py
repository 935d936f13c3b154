"""A local HTTP server whose mirrors misbehave on purpose, and a MNIST small enough to serve."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from mnist_cnn.datasets.idx import idx_checksum, write_idx
from mnist_cnn.datasets.registry import SOURCES, Source

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]  # (the request, the file asked for)


def serve(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def truncate(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])


def truncate_unnoticed(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.end_headers()  # no length, so that only the content tells
    request.wfile.write(content[: len(content) // 2])


def lie(request: BaseHTTPRequestHandler, content: bytes) -> None:
    raw = bytearray(gzip.decompress(content))
    raw[-1] ^= 1
    serve(request, gzip.compress(bytes(raw)))


def html(request: BaseHTTPRequestHandler, content: bytes) -> None:
    del content
    serve(request, b"<html>Please log in to the hotel's network</html>")


def flood(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1000):
            request.wfile.write(content)


def drip(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    with contextlib.suppress(OSError):
        for position in range(len(content)):
            request.wfile.write(content[position : position + 1])
            time.sleep(0.1)


def status(code: int) -> Behaviour:
    return lambda request, _content: request.send_error(code)


def fail_first(code: int, times: int) -> Behaviour:
    failures: dict[str, int] = {}

    def behave(request: BaseHTTPRequestHandler, content: bytes) -> None:
        failures[request.path] = failures.get(request.path, 0) + 1
        if failures[request.path] <= times:
            request.send_error(code)
        else:
            serve(request, content)

    return behave


@contextlib.contextmanager
def mirrors(files: dict[str, bytes], **behaviours: Behaviour) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Serve `files` at one mirror per behaviour; give the mirrors' addresses and the list of requests."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            mirror, _, name = self.path.strip("/").partition("/")
            with contextlib.suppress(OSError):
                behaviours[mirror](self, files[name])

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        root = f"http://127.0.0.1:{server.server_port}"
        yield {name: f"{root}/{name}/{{file}}" for name in behaviours}, requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tiny_mnist(folder: Path, **changes: object) -> tuple[Source, dict[str, bytes]]:
    """Make a MNIST of 40 + 20 images; give its description and the files as a mirror would hold them."""
    generator = np.random.default_rng(0)
    files = {}
    for (split, kind), file in SOURCES["mnist"].files.items():
        count = 40 if split == "train" else 20
        array = generator.integers(0, 256, (count, 28, 28), np.uint8)
        if kind == "labels":
            array = (np.arange(count) % 10).astype(np.uint8)
        write_idx(folder / file.name, array)
        size = (folder / file.name).stat().st_size
        files[split, kind] = dataclasses.replace(file, size=size, shape=array.shape, content_sha256=idx_checksum(array))
    source = dataclasses.replace(SOURCES["mnist"], files=files, mirrors=())
    contents = {file.name: (folder / file.name).read_bytes() for file in files.values()}
    return dataclasses.replace(source, **changes), contents  # type: ignore[arg-type]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
