"""Run the server: check the settings, find a port, start Granian's workers, stop on a signal."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from mnist_cnn.errors import MnistCnnError, SettingError
from mnist_cnn.reading.numbers import NumberReader
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.server.collection import open_collection
from mnist_cnn.server.logs import make_log_config
from mnist_cnn.server.settings import COUNTS_FOLDER, PREFIX

if TYPE_CHECKING:
    from fastapi import FastAPI
    from granian.server.common import AbstractServer

    from mnist_cnn.server.settings import Settings

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_CONNECTIONS = 1024  # served at once by a worker; others wait to be accepted
_IDLE = 75  # seconds: for a request's head, and between requests; load balancers keep connections for about 60
_HEAD_BYTES = 65_536
_GRACE = 5  # seconds beyond the longest request before a stopping worker is killed


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, finish all requests in progress, and return.

    Args:
        settings: Of the server.
        announce: Called with the server's address as soon as it accepts connections.

    Raises:
        InputError: The address is not available, or the model or the collection folder cannot be used.
        MnistCnnError: A worker did not start.
    """
    for number in _STOPPING:
        signal.signal(number, lambda *_: sys.exit(0))  # until Granian installs its own handlers
    os.environ.pop(f"{PREFIX}API_KEY", None)  # nothing that decodes images needs to find it
    _check(settings)
    with reserve_port(settings.host, settings.port) as (host, port), _counts_folder(settings.workers):
        server = _make_server(settings, host, port)
        threading.Thread(target=_announce_when_listening, args=(host, port, announce), daemon=True).start()
        try:
            server.serve(target_loader=partial(_load_application, settings), wrap_loader=False)
        except SystemExit as error:
            if error.code and not server.interrupt_signal:  # on Ctrl-C, a worker may end before it is stopped
                raise MnistCnnError("a worker did not start or kept failing. The log above says why.") from error


def _check(settings: Settings) -> None:
    """Check before any worker starts that the models and the collection folder can be used."""
    if settings.number_model:
        NumberReader.load(settings.number_model, threads=1)
    recognizer = Recognizer.load(settings.model, threads=1, threshold=settings.threshold, scale=settings.scale)
    if settings.collect:
        open_collection(settings.collect, recognizer.class_names)


def _make_server(settings: Settings, host: str, port: int) -> AbstractServer[Any]:
    server: AbstractServer[Any] = Granian(
        "mnist_cnn.server.asgi:app",  # only a name for logs: workers call `_load_application`
        host,
        port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        runtime_mode=RuntimeModes.st,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        backpressure=_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=_IDLE * 1000, max_buffer_size=_HEAD_BYTES),
        log_level=LogLevels(settings.log_level) if settings.log_level != "info" else LogLevels.warning,
        log_dictconfig=make_log_config(settings),
        respawn_failed_workers=True,
        workers_kill_timeout=math.ceil(settings.timeout) + _GRACE,
    )
    return server


def _load_application(settings: Settings) -> FastAPI:
    """Build the application, in a worker: counters must be imported after their folder is named."""
    from mnist_cnn.server.application import create_app

    for number in _STOPPING:
        signal.signal(number, signal.SIG_DFL)  # the worker would inherit handlers that do nothing until it runs
    return create_app(settings)


@contextlib.contextmanager
def reserve_port(host: str, port: int) -> Iterator[tuple[str, int]]:
    """Yield the address to listen on, with a free port in place of 0; no other server gets it until the block ends.

    Workers share the port by SO_REUSEPORT, which would also let two servers share it unnoticed. The probe listens
    without it, so only one of two servers succeeds. Outside Linux, the port is only checked.

    Raises:
        InputError: The address is not available.
    """
    with contextlib.ExitStack() as reserved:
        try:
            found_addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = found_addresses[0]
            with socket.create_server(address[:2], family=family) as probe:
                found: tuple[str, int] = probe.getsockname()[:2]
                if sys.platform == "linux":
                    reserved.enter_context(_hold(probe))
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]  # Python adds the address
            raise SettingError(
                f"cannot listen on {host} port {port}: {reason}. "
                "Choose others with --host and --port (0: any free port)."
            ) from None
        yield found


def _hold(probe: socket.socket) -> socket.socket:
    """Bind a socket to a listening probe's address: it gets no connections, and refuses all but Granian's workers."""
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder = socket.socket(probe.family)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a stopped server may still linger
    holder.bind(probe.getsockname())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # otherwise another probe could listen
    return holder


def _announce_when_listening(host: str, port: int, announce: Callable[[str], None]) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # listens on all: name one that works
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection((host, port)).close()
            break
        time.sleep(0.02)
    announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


@contextlib.contextmanager
def _counts_folder(workers: int) -> Iterator[None]:
    """Choose a folder where several workers add up their counts, unless the environment names one."""
    if workers == 1 or os.environ.get(COUNTS_FOLDER):
        yield
        return
    with TemporaryDirectory(prefix="mnist-cnn-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[COUNTS_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[COUNTS_FOLDER]
