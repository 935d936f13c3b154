"""A local HTTP server whose mirrors misbehave, and a small MNIST to serve."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from datasets.idx_files import write_idx
from mnist_cnn.datasets.idx import idx_checksum
from mnist_cnn.datasets.registry import SOURCES, Source

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]  # (the request, the file asked for)


def serve(request: BaseHTTPRequestHandler, content: bytes, length: int | None = None) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(length or len(content)))
    request.end_headers()
    request.wfile.write(content)


def call_it_encoded(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Declare the .gz file to be another file, sent with compression, as some mirrors do."""
    request.send_response(200)
    request.send_header("Content-Encoding", "x-gzip")
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def truncate(request: BaseHTTPRequestHandler, content: bytes) -> None:
    serve(request, content[: len(content) // 2], len(content))


def stall(request: BaseHTTPRequestHandler, content: bytes) -> None:
    truncate(request, content)
    time.sleep(2)


def lie(request: BaseHTTPRequestHandler, content: bytes) -> None:
    serve(request, content[:-1] + bytes([content[-1] ^ 1]))


def flood(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(1000):
        request.wfile.write(content)


def drip(request: BaseHTTPRequestHandler, content: bytes) -> None:
    for start in range(0, len(content), 1024):
        if start == 0:
            serve(request, content[:1024], len(content))
        else:
            request.wfile.write(content[start : start + 1024])
        time.sleep(0.1)


def refuse(request: BaseHTTPRequestHandler, _content: bytes) -> None:
    request.send_error(404)


def fail_twice() -> Behaviour:
    failures = Counter[str]()

    def behave(request: BaseHTTPRequestHandler, content: bytes) -> None:
        failures[request.path] += 1
        request.send_error(503) if failures[request.path] <= 2 else serve(request, content)

    return behave


@contextlib.contextmanager
def mirrors(files: dict[str, bytes], **behaviours: Behaviour) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Serve `files` at one mirror per behaviour; yield the mirrors' addresses and the list of requests."""
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


def tiny_mnist(folder: Path) -> tuple[Source, dict[str, bytes]]:
    """Create a MNIST of 40 + 20 images; return its description and the files as a mirror would serve them."""
    generator = np.random.default_rng(0)
    files, contents = {}, {}
    for (split, kind), file in SOURCES["mnist"].files.items():
        count = 40 if split == "train" else 20
        array = generator.integers(0, 256, (count, 28, 28), np.uint8)
        if kind == "labels":
            array = (np.arange(count) % 10).astype(np.uint8)
        write_idx(folder / file.name, array)
        contents[file.name] = (folder / file.name).read_bytes()
        sums = {"sha256": sha256(contents[file.name]), "content_sha256": idx_checksum(array)}
        files[split, kind] = dataclasses.replace(file, shape=array.shape, **sums)
    return dataclasses.replace(SOURCES["mnist"], files=files, mirrors=()), contents


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
